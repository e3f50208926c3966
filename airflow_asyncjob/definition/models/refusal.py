"""Refusal: what one entry in a list of refused records says."""

from __future__ import annotations

from pydantic import Field, StrictInt

from airflow_asyncjob.definition.models.base import Model

__all__ = ["Refusal"]


class Refusal(Model):
    """What one entry in a list of refused records says."""

    key: str | None = Field(
        default=None,
        description="JMESPath into an entry: what names the caller's record, as submit.upload.key has it; of "
        "several fields a list in their order, such as [email, region], or a mapping. null: nothing does.",
    )
    index: str | None = Field(
        default=None,
        description="JMESPath into an entry: the number of the record within what was sent. null: there is "
        "none.",
    )
    index_base: StrictInt = Field(default=0, ge=0, description="With index: what the first record has.")
    reason: str | None = Field(
        default=None, description="JMESPath into an entry: why it was refused. null: the entry itself says."
    )
    when: str | None = Field(
        default=None,
        description="JMESPath into an entry: only where it is true is the entry a reject. null: all of them "
        "are.",
    )
