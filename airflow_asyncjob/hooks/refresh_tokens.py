"""Refresh tokens that a token endpoint replaced, kept in Airflow Variables for the next process.

The name of such a variable holds the word token, so that Airflow masks its value in the UI and in logs.
"""

from __future__ import annotations

import asyncio
import logging

__all__ = ["AsyncVariableTokens", "VariableTokens"]

_log = logging.getLogger(__name__)


class VariableTokens:
    """Keeps them, blocking: in a worker."""

    def recall(self, name: str) -> str | None:
        """Return what was kept last; None: nothing, or Airflow does not answer, which is then in the log."""
        from airflow.sdk import Variable

        try:
            kept = Variable.get(name, default=None)
        except (
            Exception
        ) as error:  # whatever Airflow's API server answers: the connection's own token is left
            _log.warning(
                "The variable %s, with a newer refresh token, cannot be read: %s", name, _kind(error)
            )
            return None
        return None if kept is None else str(kept)

    def keep(self, name: str, value: str) -> None:
        """Keep a refresh token; where that fails, it is said in the log, and the job goes on."""
        from airflow.sdk import Variable

        try:
            Variable.set(
                name, value, description="The newest refresh token of a connection; airflow-asyncjob"
            )
        except Exception as error:
            _log.warning(
                "The new refresh token cannot be kept in the variable %s (%s). The next process will be "
                "refused if the token endpoint takes the old one no more: authorise again then",
                name,
                _kind(error),
            )


def _kind(error: Exception) -> str:
    """Return what an error is, without its text, which may repeat the value."""
    return type(error).__name__


class AsyncVariableTokens:
    """Keeps them without blocking: in the triggerer, whose loop Airflow's blocking calls must not hold up."""

    def __init__(self) -> None:
        self._blocking = VariableTokens()

    async def recall(self, name: str) -> str | None:
        """Return what was kept last; see :meth:`VariableTokens.recall`."""
        return await asyncio.to_thread(self._blocking.recall, name)

    async def keep(self, name: str, value: str) -> None:
        """Keep a refresh token; see :meth:`VariableTokens.keep`."""
        await asyncio.to_thread(self._blocking.keep, name, value)
