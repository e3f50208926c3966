"""The wheel: what is in it, and that it installs beside an Airflow without changing that Airflow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = (ROOT / "constraints.txt").read_text()
pytestmark = pytest.mark.slow


def run(*command: str | Path, home: Path | None = None) -> str:
    """Run a command, without what a developer may have set for Airflow or Python; return its output."""
    env = {name: value for name, value in os.environ.items() if not re.match("AIRFLOW|PYTHON", name)}
    if home is not None:
        env |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [str(word) for word in command],
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
    )
    assert done.returncode == 0, (
        f"{command} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


def versions(freeze: str) -> dict[str, str]:
    """Package to version, of what ``pip freeze`` prints."""
    return dict(line.split("==") for line in freeze.splitlines() if "==" in line)


def normalised(name: str) -> str:
    """The name of a package as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the source archive and of the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def users_airflow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The programs of an environment with Airflow as a user has it, and its versions."""
    folder = tmp_path_factory.mktemp("users")
    constraints = folder / "constraints.txt"
    constraints.write_text(PINS)
    run(sys.executable, "-m", "venv", folder / "venv")
    programs = folder / "venv" / "bin"
    version = re.search(r"^apache-airflow==(\S+)$", PINS, re.MULTILINE)
    assert version is not None
    run(
        *(programs / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints),
        *(f"apache-airflow=={version[1]}", "apache-airflow-providers-http"),
    )
    return programs, versions(run(programs / "python", "-m", "pip", "freeze"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.partition("/")[0] for name in names}
    assert top == {"airflow_asyncjob", f"{wheel.name.split('-py3')[0]}.dist-info"}
    assert "airflow_asyncjob/py.typed" in names
    catalogue = {
        str(path.relative_to(ROOT)) for path in (ROOT / "airflow_asyncjob" / "catalogue").rglob("*.yaml")
    }
    assert {"airflow_asyncjob/catalogue/ogc/process.yaml", *catalogue} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert [name for name in names if name.endswith((".pyc", ".log", ".db"))] == []


def test_the_wheel_registers_everything_that_finds_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(entry_points).decode()
    assert "[console_scripts]\nasyncjob = airflow_asyncjob.cli:main\n" in text
    assert (
        "[apache_airflow_provider]\nprovider_info = airflow_asyncjob.provider_info:get_provider_info" in text
    )


def test_the_source_archive_builds_without_the_repository(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    listed = run("tar", "--list", "--file", archive).splitlines()
    names = {name.partition("/")[2].split("/")[0] for name in listed}
    assert names == {
        "airflow_asyncjob",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "pyproject.toml",
        "PKG-INFO",
        ".gitignore",
    }


def test_the_wheel_installs_beside_an_airflow_without_changing_it(
    wheel: Path, users_airflow: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    programs, before = users_airflow
    constraints = tmp_path / "airflow-constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in before.items()))
    pip = (programs / "python", "-m", "pip")
    run(*pip, "install", "--quiet", "--constraint", constraints, f"{wheel}[airflow,parquet]")
    run(*pip, "check")
    after = versions(run(*pip, "freeze"))
    assert {name: after.get(name) for name in before} == before
    new = {normalised(name) for name in after.keys() - before.keys()}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = {
        normalised(re.split(r"[><=\[;]", requirement)[0])
        for requirement in [*declared["dependencies"], *declared["optional-dependencies"]["parquet"]]
    }
    assert new <= direct, f"{new - direct} come along unasked"

    home = tmp_path / "home"
    home.mkdir()
    assert "Usage: asyncjob" in run(programs / "asyncjob", "--help", home=home)
    for name in ("sendgrid/contacts_export", "ogc/process"):
        assert name in run(programs / "asyncjob", "validate", name, home=home)
    providers = json.loads(run(programs / "airflow", "providers", "list", "--output", "json", home=home))
    found = {entry["package_name"]: entry["version"] for entry in providers}
    assert found["airflow-asyncjob"] == declared["version"]
