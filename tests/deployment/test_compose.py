"""docker-compose.yaml, as far as it can be checked without a container engine: by Airflow's own words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
BACKING = {"postgres", "redis"}
AIRFLOW_SERVICES = {"migrate", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}
OPTION = re.compile(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+)")

# Asked in a process of its own, because its configuration is that of the compose file, not of this test run.
ASK_AIRFLOW = """
import json, sys
from airflow.cli import cli_parser
from airflow.configuration import conf
from airflow.executors.executor_loader import ExecutorLoader
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

@providers_configuration_loaded
def answers(asked):
    refused = []
    for command in asked["commands"]:
        try:
            cli_parser.get_parser().parse_args(command)
        except SystemExit:
            refused.append(command)
    unknown = [
        [section, option] for section, option in asked["options"]
        if option not in conf.configuration_description.get(section, {}).get("options", {})
    ]
    executor = ExecutorLoader.import_default_executor_cls()[0].__name__
    values = {option: conf.get(section, option) for section, option in asked["options"]}
    return {"refused": refused, "unknown": unknown, "executor": executor, "values": values}

print(json.dumps(answers(json.load(sys.stdin))))
"""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yaml")
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def with_defaults(value: str) -> str:
    """What compose makes of ``${NAME:-default}`` when NAME is not set, and of ``$$``."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).replace("$$", "$")


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: with_defaults(str(value)) for name, value in service["environment"].items()}


@pytest.fixture(scope="module")
def airflow_says(
    services: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Airflow's answers about the commands, the options and the values of the compose file."""
    merged = {name: value for name in AIRFLOW_SERVICES for name, value in environment(services[name]).items()}
    options = [
        [match[1].lower(), match[2].lower()] for name in sorted(merged) if (match := OPTION.fullmatch(name))
    ]
    commands = [services[name]["command"] for name in sorted(AIRFLOW_SERVICES)]
    checks = [service["healthcheck"]["test"] for service in services.values() if "healthcheck" in service]
    commands += [check[2:] for check in checks if check[:2] == ["CMD", "airflow"]]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    asked = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        input=json.dumps({"commands": commands, "options": options}),
        env={**clean, **merged, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("compose-home"))},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr[-3000:]
    answers: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
    answers["asked"] = {"commands": commands, "options": options}
    return answers


def test_everything_that_a_team_runs_is_there(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == BACKING | AIRFLOW_SERVICES
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["triggerer"]["deploy"]["replicas"] == 2
    assert services["scheduler"]["deploy"]["replicas"] == 2


def test_all_of_airflow_runs_in_one_image_that_holds_this_package(
    services: dict[str, dict[str, Any]],
) -> None:
    assert len({services[name]["image"] for name in AIRFLOW_SERVICES}) == 1
    build = services["scheduler"]["build"]
    dockerfile = (ROOT / build["context"] / "Dockerfile").read_text()
    assert "pip install" in dockerfile
    assert "COPY --chown=airflow:root airflow_asyncjob " in dockerfile
    assert f"ARG AIRFLOW_VERSION={build['args']['AIRFLOW_VERSION']}" in dockerfile
    pinned = (ROOT / "constraints.txt").read_text()
    assert f"apache-airflow=={build['args']['AIRFLOW_VERSION']}\n" in pinned, (
        "tests run the version of the image"
    )


def test_the_image_builds_from_files_that_exist_and_are_not_ignored() -> None:
    copied = re.findall(r"^COPY --chown=\S+ (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == allowed
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_image_has_a_version(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        tag = service["image"].partition(":")[2]
        assert re.match(r"\d+\.\d+", tag), f"{name} runs {service['image']}"


def test_whatever_keeps_running_has_a_health_check(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
            else:
                assert how["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no", "a service that ends must not be started again"


def test_every_option_is_one_that_airflow_has(airflow_says: dict[str, Any]) -> None:
    assert len(airflow_says["asked"]["options"]) > 8
    assert airflow_says["unknown"] == []


def test_every_command_is_one_that_airflow_has(airflow_says: dict[str, Any]) -> None:
    assert len(airflow_says["asked"]["commands"]) == 9
    assert airflow_says["refused"] == []


def test_airflow_reads_the_values_as_they_are_meant(
    airflow_says: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    assert airflow_says["executor"] == "CeleryExecutor"
    values = airflow_says["values"]
    assert values["sql_alchemy_conn"] == "postgresql+psycopg2://airflow:airflow@postgres/airflow"
    assert values["broker_url"] == "redis://:airflow@redis:6379/0"
    api = re.fullmatch(r"http://([\w-]+):(\d+)/execution/", values["execution_api_server_url"])
    assert api is not None
    assert api[1] in services
    assert services[api[1]]["ports"] == [f"127.0.0.1:8080:{api[2]}"]
    assert len(values["jwt_secret"]) >= 64


def test_the_workers_health_check_asks_an_app_that_exists(services: dict[str, dict[str, Any]]) -> None:
    check = with_defaults(services["worker"]["healthcheck"]["test"][1])
    module, _, name = check.split("--app ")[1].split()[0].rpartition(".")
    found = subprocess.run(
        [sys.executable, "-c", f"from {module} import {name}; {name}.control.inspect"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert '--destination "celery@${HOSTNAME}"' in check


def test_dags_are_mounted_and_every_volume_is_declared(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    for name in AIRFLOW_SERVICES:
        assert "./dags:/opt/airflow/dags:ro" in services[name]["volumes"]
    named = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert named == set(compose["volumes"])


def test_secrets_come_from_the_environment(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|FERNET|AUTH$|CONN$|BACKEND$|BROKER", name):
                assert re.search(r"\$\{\w+:-[^}]*\}", str(value)), f"{name} is fixed"


def test_only_the_api_server_is_reachable_and_only_from_this_machine(
    services: dict[str, dict[str, Any]],
) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["api-server"]
    assert all(port.startswith("127.0.0.1:") for port in services["api-server"]["ports"])
