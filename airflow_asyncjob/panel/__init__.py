"""What is kept of a job for people who watch it in the Airflow UI: its shape and its bounds.

Pure data: no I/O, no clock, no Airflow. The tasks and the trigger write it, the plugin reads it. Nothing else
depends on it: a job is carried on from its checkpoint, never from what is kept here.

Each task instance (submit, wait, fetch) has its own, under the same names in two places: Airflow's task state
store, which workers write, and the XComs of the task instance, which a trigger can write. A reader unites the
two with :func:`merged`.
"""

from airflow_asyncjob.panel.book import TRACE_BYTES, Book
from airflow_asyncjob.panel.merge import Kept, merged
from airflow_asyncjob.panel.preview import PREVIEW_BYTES, preview_of
from airflow_asyncjob.panel.summary import SUMMARY_BYTES, Summary
from airflow_asyncjob.panel.tab import TAB_ROUTE, tab_path

__all__ = [
    "PREVIEW",
    "PREVIEW_BYTES",
    "SUMMARY",
    "SUMMARY_BYTES",
    "TAB_ROUTE",
    "TRACE",
    "TRACE_BYTES",
    "WRITE_EVERY",
    "Book",
    "Kept",
    "Summary",
    "merged",
    "preview_of",
    "tab_path",
]

SUMMARY = "asyncjob.summary"
"""Name of the summary, see :class:`Summary`."""
TRACE = "asyncjob.trace"
"""Name of the exchanges and the polls, see :class:`Book`."""
PREVIEW = "asyncjob.preview"
"""Name of the first rows of a result, only where the definition asks for them."""
WRITE_EVERY = 60.0
"""Seconds between two writes while nothing but counts and times has changed."""
