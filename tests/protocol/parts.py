"""Uploads as the protocol hears of them: parts with so many records each."""

from __future__ import annotations

from airflow_asyncjob.definition.parts import PartInfo
from airflow_asyncjob.definition.parts import Plan as UploadPlan
from airflow_asyncjob.protocol import Planned

__all__ = ["plan_of"]


def plan_of(*records: int, mark: str = "m1", rejected: int = 0) -> Planned:
    """Return an upload that was cut into parts with so many records."""
    firsts = [1 + sum(records[:place]) for place in range(len(records))]
    parts = tuple(
        PartInfo(
            number=place + 1,
            first=firsts[place],
            records=count,
            bytes=count * 7,
            last=place + 1 == len(records),
            count=len(records),
            sha256=f"{place:064x}",
            md5="Q2hlY2sgSW50ZWdyaXR5IQ==",
            position=(0, 0, firsts[place]),
        )
        for place, count in enumerate(records)
    )
    return Planned(UploadPlan(parts, sum(records), sum(records) * 7, rejected, mark))
