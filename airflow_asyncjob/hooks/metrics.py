"""Metrics, by Airflow's own: StatsD, Datadog or OpenTelemetry, as ``[metrics]`` of its settings says.

Names and tags are public: dashboards hold them. See docs/how-to/metrics-assets-lineage.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["Metrics"]

_PREFIX = "asyncjob."
_log = logging.getLogger(__name__)


class Metrics:
    """Sends figures of one task instance. A figure that cannot be sent is lost, and the job goes on.

    :param tags: go with every figure; StatsD itself knows none, and drops them.
    :param stats: the module that sends; None: the one of Airflow's workers.
    """

    def __init__(self, tags: Mapping[str, str], stats: Any = None) -> None:
        self._tags = {name: value for name, value in tags.items() if value}
        self._stats = stats

    def submitted(self, outcome: str) -> None:
        """Count a submit: ``accepted``, or ``failed`` where the task goes on without a job."""
        self._count("submits", 1, outcome=outcome)

    def polled(self, state: str, *, seconds: float, late: float | None) -> None:
        """Count a poll.

        :param state: as it was read, or ``unknown`` or ``error``.
        :param seconds: from sending to the answer.
        :param late: seconds between the time it was due and the time it was sent; None: none was set.
        """
        self._count("polls", 1, state=state)
        self._time("poll.duration", seconds)
        if late is not None:
            self._time("poll.lateness", late)

    def ended(self, state: str, seconds: float | None) -> None:
        """Count a job by its final state, once for each wait.

        :param seconds: from the submission to the end; None: not known.
        """
        self._count("jobs", 1, state=state)
        if seconds is not None:
            self._time("job.duration", seconds, state=state)

    def downloaded(self, *, size: int, records: int | None, rejects: int | None, seconds: float) -> None:
        """Count a download that is written.

        :param size: bytes as written.
        """
        self._count("downloads", 1)
        self._count("download.bytes", size)
        self._time("download.duration", seconds)
        for name, number in (("download.records", records), ("download.rejects", rejects)):
            if number is not None:
                self._count(name, number)

    def _count(self, name: str, number: int, **tags: str) -> None:
        try:
            self._module().incr(_PREFIX + name, number, tags={**self._tags, **tags})
        except Exception as error:
            _log.debug("A metric was not sent: %r", error)

    def _time(self, name: str, seconds: float, **tags: str) -> None:
        try:
            self._module().timing(_PREFIX + name, seconds * 1000, tags={**self._tags, **tags})
        except Exception as error:
            _log.debug("A metric was not sent: %r", error)

    def _module(self) -> Any:
        if self._stats is None:
            from airflow.sdk.observability import stats

            self._stats = stats
        return self._stats
