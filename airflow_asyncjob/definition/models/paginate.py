"""Paginate: how a result that comes in pages goes on."""

from __future__ import annotations

from pydantic import Field, StrictInt, model_validator

from airflow_asyncjob.definition.models.base import Model, mistakes
from airflow_asyncjob.definition.models.extractor import ExtractorField

__all__ = ["PAGE_NAMES", "Paginate"]

PAGE_NAMES = ("page", "offset", "next")
"""The names that only the request of a paged result sees."""


class Paginate(Model):
    """How a result that comes in pages goes on.

    The request of the result is sent once for each page, and sees ``{{ page }}`` (number of the page, from
    1), ``{{ offset }}`` (records read so far) and ``{{ next }}`` (what the page before named; null for the
    first page). Where it uses none of them, ``next`` is an address and is asked with GET.
    """

    next: ExtractorField | None = Field(
        default=None,
        description="What a page says of the next one: its address, a cursor, or true. Nothing there, null, "
        "false, 0 or empty: it was the last. null: pages are asked for until one has no records.",
    )
    size: StrictInt | None = Field(
        default=None,
        ge=1,
        description="Without next: records of a full page, so that a page with fewer is the last; null: "
        "only a page without records is.",
    )

    @model_validator(mode="after")
    def _nothing_ignored(self) -> Paginate:
        if self.next is not None and self.next.template is not None:
            raise mistakes(
                [("next", "is a template, which reads nothing of the page; give a path, header or expr")]
            )
        if self.next is not None and self.size is not None:
            raise mistakes([("size", "would be ignored, since `next` says which page is the last")])
        return self
