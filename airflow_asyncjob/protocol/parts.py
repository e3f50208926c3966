"""Parts: what goes between the protocol and its driver about an upload, which is cut before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.definition.parts import Plan as UploadPlan

__all__ = ["Plan", "Planned", "Refusals"]


@dataclass(frozen=True)
class Plan:
    """Cut the upload into the parts that will be sent. Answer: ``Planned`` or ``Failed``.

    Nothing is sent for it, so that it may be asked again by every process.

    :param names: the template names that its source and its envelope see.
    :param anew: nothing of this submission was sent before: what is kept of an earlier one can go.
    :param md5: a request names the MD5 of its part.
    """

    upload: Upload
    names: Mapping[str, Any]
    anew: bool = True
    md5: bool = False


@dataclass(frozen=True)
class Planned:
    """The upload is cut.

    :param plan: its parts, without a record in them.
    """

    plan: UploadPlan


@dataclass(frozen=True)
class Refusals:
    """The records that one answer to an upload refused.

    :param part: number of the part that was answered, from 1.
    :param entries: one mapping a refused record, see :mod:`airflow_asyncjob.protocol.refusals`; empty: all
        were taken.
    """

    part: int
    entries: tuple[Mapping[str, Any], ...] = ()
