"""Every error: when it is raised, what Airflow and the command line make of it, what to do."""

from __future__ import annotations

import inspect
import re

from pages.docstrings import inline, parse
from pages.markdown import NOTICE, table

__all__ = ["errors_page"]

_PARTS = re.compile(r"^(When|Do): (.*?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


def errors_page() -> str:
    """Every error, and whether Airflow tries again."""
    from airflow_asyncjob import errors

    module = inspect.getdoc(errors) or ""
    tree = re.search(r"AsyncJobError\n.*?(?=\n\n)", module, re.DOTALL)
    kinds = [getattr(errors, name) for name in errors.__all__ if name != "AsyncJobError"]
    rows = [(f"[`{kind.__name__}`](#{kind.__name__.lower()})", *_made_of(kind)) for kind in kinds]
    return "".join(
        [
            NOTICE,
            "# Errors\n\nAll errors of the package are in `airflow_asyncjob.errors`. Every message says what "
            "was sent (method and URL, without secrets), what came back (the code, the first bytes), what "
            "was expected, and what to do.\n\n"
            f"```text\n{tree[0] if tree else ''}\n```\n\n"
            "## What becomes of them\n\n"
            "A task that Airflow does not try again ends with `AirflowFailException`, whatever its `retries` "
            "say: another try cannot succeed before somebody has changed something. A job that timed out "
            "ends with `AirflowSensorTimeout`.\n\n",
            table(("error", "Airflow tries again", "exit code of `asyncjob`"), rows),
            *(_section(kind) for kind in kinds),
        ]
    )


def _made_of(kind: type[Exception]) -> tuple[str, str]:
    from airflow_asyncjob.cli.outcome import code_of

    retried = "yes" if kind.retryable else "no"  # type: ignore[attr-defined]
    if kind.__name__ == "UncertainError":
        retried = "as `on_uncertain` says"
    if kind.__name__ == "JobTimeoutError":
        retried = "no (`AirflowSensorTimeout`)"
    return retried, str(int(code_of(kind("an example"))))  # type: ignore[arg-type]


def _section(kind: type[Exception]) -> str:
    told = dict(_PARTS.findall(inspect.getdoc(kind) or ""))
    lacking = [part for part in ("When", "Do") if part not in told]
    if lacking:
        raise SystemExit(
            f"airflow_asyncjob.errors.{kind.__name__}: its docstring has no paragraph that begins with "
            f"{' and '.join(f'{part}:' for part in lacking)} (when it is raised, and what the reader can do)"
        )
    when, do = (inline(" ".join(told[part].split())) for part in ("When", "Do"))
    return (
        f"\n## {kind.__name__}\n\n{parse(kind).summary}\n\n"
        f"- **When:** {when}\n- **What to do:** {do}\n- **A kind of:** `{kind.__bases__[0].__name__}`\n"
    )
