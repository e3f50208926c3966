"""The Airflow connection, and what the tasks share."""
