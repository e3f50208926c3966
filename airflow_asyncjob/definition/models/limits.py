"""Limits: bounds on single exchanges, and on how many there are."""

from __future__ import annotations

from pydantic import Field, StrictInt

from airflow_asyncjob.definition.models.base import Model, PositiveDuration

__all__ = ["Limits"]


class Limits(Model):
    """Bounds on single exchanges, and on how many there are."""

    response_bytes: StrictInt = Field(
        default=8 * 1024 * 1024,
        ge=1,
        description="Largest body of a submit, status, cancel, delete or list answer, in bytes.",
    )
    decompressed_bytes: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Largest result that is read as records, in bytes after decompression; null: any, but an "
        "archive that expands 1,000 times, beyond 64 MiB, is refused.",
    )
    pages: StrictInt = Field(
        default=10_000,
        ge=1,
        description="With result.paginate: pages of one download target; with list.paginate: of the list.",
    )
    page_bytes: StrictInt = Field(
        default=64 * 1024 * 1024,
        ge=1,
        description="With result.paginate: largest page, in bytes, where the body names the next one. Such a "
        "page is kept in memory; others are not.",
    )
    retries: StrictInt = Field(
        default=5,
        ge=0,
        description="Repeats of a submit, result, cancel or delete request that may be repeated.",
    )
    requests_per_second: float | None = Field(
        default=None,
        strict=True,
        gt=0,
        le=1000,
        description="Requests a second to the connection's address, over all jobs of one process (a "
        "triggerer, a task's worker, asyncjob run); the others wait for their turn. 0.5: one in two seconds. "
        "null: no limit.",
    )
    connect_timeout: PositiveDuration = Field(default=10.0, description="To open a connection.")
    read_timeout: PositiveDuration = Field(default=60.0, description="Between two pieces of an answer.")
    write_timeout: PositiveDuration = Field(default=60.0, description="Between two pieces of a request.")
    exchange_timeout: PositiveDuration = Field(
        default=300.0, description="For a whole exchange; a download has no such limit."
    )
