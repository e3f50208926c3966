"""``python -m airflow_asyncjob`` is ``asyncjob``."""

from airflow_asyncjob.cli import main

if __name__ == "__main__":
    main()
