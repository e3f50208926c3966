"""The pytest plugin gives the fixture, stops what it started, and costs nothing where it is not used."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).parents[2]
PLUGIN = "airflow_asyncjob.testing.plugin"


def test_the_fixture_starts_servers_and_stops_them_after_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    pytester.makepyfile(
        """
        import socket
        import threading
        import urllib.request
        from airflow_asyncjob.testing import FakeClock

        ports = []

        def test_servers(fake_job_server):
            generic = fake_job_server(clock=FakeClock(7.0), auth=None)
            sendgrid = fake_job_server("sendgrid", contacts=3)
            ports.extend([generic.port, sendgrid.port])
            with urllib.request.urlopen(generic.url + "/jobs") as answer:
                assert answer.read() == b'{"jobs": []}\\n'
            assert generic.ledger.entries()[0].at == 7.0
            assert sendgrid.options.contacts == 3

        def test_they_are_gone():
            assert len(ports) == 2
            for port in ports:
                with socket.socket() as probe:
                    assert probe.connect_ex(("127.0.0.1", port)) != 0
            assert threading.active_count() == 1
        """
    )
    pytester.runpytest_subprocess("-p", PLUGIN, "-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_entry_point_has_the_name_of_the_module_so_that_it_can_be_given_with_p_too() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


@pytest.mark.parametrize("module", [PLUGIN, "airflow_asyncjob.testing"])
def test_importing_it_loads_no_server_no_pydantic_no_http_and_no_airflow(module: str) -> None:
    script = (
        "import sys, pytest, json; before = set(sys.modules)\n"
        f"import {module}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = json.loads(done.stdout)
    ours = {"airflow_asyncjob", "airflow_asyncjob.testing", module}
    assert {name for name in loaded if name.startswith("airflow_asyncjob")} == ours
    heavy = {"airflow", "pydantic", "jinja2", "httpx", "http.server", "pyarrow", "socketserver"}
    assert heavy.isdisjoint(loaded)


def test_a_fake_server_in_use_loads_the_standard_library_only() -> None:
    script = (
        "import sys, airflow_asyncjob.testing as testing\n"
        "with testing.FakeJobServer('sendgrid', contacts=1), testing.FakeJobServer(): pass\n"
        "outside = {n.partition('.')[0] for n in sys.modules} - sys.stdlib_module_names\n"
        "print(sorted(n for n in outside if not n.startswith('_')))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, done.stdout) == ("", "['airflow_asyncjob']\n")


def test_every_public_name_is_there_and_an_unknown_one_is_an_error() -> None:
    import airflow_asyncjob.testing as testing

    assert [name for name in testing.__all__ if getattr(testing, name, None) is None] == []
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="has no attribute 'FakeServer'"):
        _ = testing.FakeServer
