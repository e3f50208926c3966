"""The pages of errors and defaults are complete, and say what the code does."""

from __future__ import annotations

import re
import sys

import pytest

from airflow_asyncjob import errors
from airflow_asyncjob.definition.models.status import Status
from tests.docs.pages import ROOT

sys.path.insert(0, str(ROOT / "docs"))
from pages.defaults import defaults_page
from pages.errors import errors_page


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "AsyncJobError"])
def test_every_error_says_when_it_comes_and_what_to_do(name: str) -> None:
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", errors_page(), re.DOTALL | re.MULTILINE)
    assert section is not None
    for part in ("When", "What to do"):
        said = re.search(rf"^- \*\*{part}:\*\* (.+)$", section[1], re.MULTILINE)
        assert said is not None
        assert len(said[1]) > 20


def test_what_becomes_of_an_error_is_what_the_code_does() -> None:
    page = errors_page()
    assert "| [`RefusedError`](#refusederror) | no | 1 |" in page
    assert "| [`PollBudgetError`](#pollbudgeterror) | yes | 1 |" in page
    assert "| [`UncertainError`](#uncertainerror) | as `on_uncertain` says | 1 |" in page
    assert "| [`JobTimeoutError`](#jobtimeouterror) | no (`AirflowSensorTimeout`) | 5 |" in page
    assert "| [`InputError`](#inputerror) | no | 2 |" in page


def test_an_error_without_advice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class SilentError(errors.ResultError):
        """It says nothing."""

    monkeypatch.setattr(errors, "SilentError", SilentError, raising=False)
    monkeypatch.setattr(errors, "__all__", [*errors.__all__, "SilentError"])
    with pytest.raises(
        SystemExit, match="SilentError: its docstring has no paragraph that begins with When:"
    ):
        errors_page()


@pytest.mark.parametrize("name", ["timeout", "poll_wait", "poll_error_budget", "unknown_times", "jitter"])
def test_a_default_is_the_one_of_the_model(name: str) -> None:
    assert f"| `status.{name}` | `{Status.model_fields[name].default:g}` |" in defaults_page()


def test_what_null_stands_for_is_said() -> None:
    page = defaults_page()
    assert "| `status.longest_wait` | `null`: ten minutes, or poll_wait if longer |" in page
    assert "| `limits.requests_per_second` | `null`: no limit |" in page
    assert "| `Request.method` | `GET` |" in page
    assert "| `max_redirects` | `30` | how many a download follows." in page
    assert "| `async_job(job_retry_wait)` | `60.0` |" in page
