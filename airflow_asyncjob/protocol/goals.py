"""Goal: what one drive of a job is for."""

from __future__ import annotations

import enum

__all__ = ["Goal"]


class Goal(enum.StrEnum):
    """When a drive finishes, and with what."""

    SUBMITTED = "submitted"
    """Submit; finish with the submission."""
    ENDED = "ended"
    """Submit where there is no submission, and wait; finish with the outcome."""
    REPLACED = "replaced"
    """Look once at a job that a new one replaces, and cancel it where it still runs; finish with the outcome.
    Nothing is stored."""
    CANCELLED = "cancelled"
    """Cancel now; finish with the outcome. Nothing is stored."""
    TARGET = "target"
    """Look at a job that has ended, for its download target as it is now; finish with the outcome. Nothing is
    stored, and nothing cancelled."""
    DELETED = "deleted"
    """Let the API forget the job; finish with the submission. Nothing is stored."""
