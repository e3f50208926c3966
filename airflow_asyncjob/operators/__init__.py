"""Operators: submit a job, download its result."""
