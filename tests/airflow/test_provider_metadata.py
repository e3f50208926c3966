"""What Airflow reads about this provider, without importing it."""

from __future__ import annotations

import json
from importlib import import_module, resources
from typing import Any

import jsonschema
import pytest

from airflow_asyncjob.provider_info import get_provider_info
from tests.airflow.test_public_names import loaded_by, packages


def schema(name: str) -> Any:
    return json.loads(resources.files("airflow").joinpath(name).read_text())


def test_it_is_valid_by_airflows_own_schema() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_the_connection_form_is_valid_by_airflows_own_schema() -> None:
    form = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    jsonschema.validate(get_provider_info()["connection-types"], form)


def test_it_loads_neither_airflow_nor_anything_heavy() -> None:
    modules = loaded_by("import airflow_asyncjob.provider_info as p; p.get_provider_info()")
    assert "airflow" not in packages(modules)
    assert "pydantic" not in packages(modules)


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
def test_every_module_that_it_names_exists(kind: str) -> None:
    for entry in get_provider_info()[kind]:
        for module in entry["python-modules"]:
            assert import_module(module).__all__


def test_every_class_that_it_names_exists() -> None:
    info = get_provider_info()
    paths = [*info["extra-links"], info["connection-types"][0]["hook-class-name"]]
    for path in paths:
        module, _, name = path.rpartition(".")
        assert getattr(import_module(module), name).__name__ == name


def test_the_hook_and_the_metadata_agree() -> None:
    from airflow_asyncjob import AsyncJobHook

    connection = get_provider_info()["connection-types"][0]
    assert connection["connection-type"] == AsyncJobHook.conn_type
    assert connection["hook-name"] == AsyncJobHook.hook_name
