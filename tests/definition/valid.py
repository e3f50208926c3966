"""The table of definitions that are right."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

__all__ = ["VALID"]

HEAD = "submit: {request: {url: /jobs}, id: id}\n"
STATUS = 'status: {request: {url: "/jobs/{{ submission_id }}"}, path: s, values: {done: d}}\n'

TABLE: dict[str, str] = YAML(typ="safe", pure=True).load(
    (Path(__file__).parent / "valid_definitions.yaml").read_text()
)
VALID = {name: text.replace("HEAD\n", HEAD).replace("STATUS\n", STATUS) for name, text in TABLE.items()}
