"""What happens next: commands out, events and times in. No I/O, no clock, no Airflow."""

from airflow_asyncjob.protocol.checkpoint import Checkpoint, is_between_steps
from airflow_asyncjob.protocol.download import Download, result_request
from airflow_asyncjob.protocol.endings import error_for
from airflow_asyncjob.protocol.goals import Goal
from airflow_asyncjob.protocol.hops import Hops
from airflow_asyncjob.protocol.job import Job
from airflow_asyncjob.protocol.listing import ListedJob, Listing
from airflow_asyncjob.protocol.messages import (
    BodyBroken,
    BodyEnded,
    Command,
    Event,
    Failed,
    Fault,
    Finish,
    Outcome,
    Purpose,
    Receive,
    Refresh,
    Refreshed,
    Responded,
    Response,
    Resume,
    Send,
    Store,
    Stored,
    Submission,
    Wait,
    Woken,
)
from airflow_asyncjob.protocol.pages import Pages
from airflow_asyncjob.protocol.parts import Plan, Planned, Refusals

__all__ = [
    "BodyBroken",
    "BodyEnded",
    "Checkpoint",
    "Command",
    "Download",
    "Event",
    "Failed",
    "Fault",
    "Finish",
    "Goal",
    "Hops",
    "Job",
    "ListedJob",
    "Listing",
    "Outcome",
    "Pages",
    "Plan",
    "Planned",
    "Purpose",
    "Receive",
    "Refresh",
    "Refreshed",
    "Refusals",
    "Responded",
    "Response",
    "Resume",
    "Send",
    "Store",
    "Stored",
    "Submission",
    "Wait",
    "Woken",
    "error_for",
    "is_between_steps",
    "result_request",
]
