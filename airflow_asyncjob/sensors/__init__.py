"""Sensors: wait for a job."""
