"""Triggers: wait for a job without a worker."""
