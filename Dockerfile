# Airflow with this package, installed under the versions that the image already has.
ARG AIRFLOW_VERSION=3.3.2
FROM apache/airflow:${AIRFLOW_VERSION}-python3.11

COPY --chown=airflow:root pyproject.toml README.md LICENSE /opt/airflow/src/
COPY --chown=airflow:root airflow_asyncjob /opt/airflow/src/airflow_asyncjob
RUN pip freeze --exclude-editable | grep == > /tmp/image.txt \
    && pip install --no-cache-dir --constraint /tmp/image.txt '/opt/airflow/src[airflow,parquet]' \
    && rm /tmp/image.txt \
    # The volume for results takes its owner from this folder.
    && mkdir -p /opt/airflow/results
