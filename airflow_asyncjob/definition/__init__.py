"""WHAT a job is: models, loading, templates, extractors. No I/O but reading definition files."""

from airflow_asyncjob.definition.job import AsyncJob

__all__ = ["AsyncJob"]
