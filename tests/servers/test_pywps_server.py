"""A real PyWPS, from submit to result: XML both ways, an element's name for a state, outputs by reference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import Asyncjob
from tests.servers.driving import Driven, asking_for
from tests.servers.pywps import Pywps

SQUARE = (
    '<r xmlns:gml="http://www.opengis.net/gml"><gml:Polygon>'
    "<gml:coordinates>0,0 2,0 2,2 0,2</gml:coordinates></gml:Polygon></r>"
)


@pytest.fixture
def execute(asyncjob: Asyncjob, pywps: Pywps) -> Driven:
    return Driven(asyncjob, "wps/execute", pywps.url)


def test_the_outputs_by_reference_become_files(execute: Driven, pywps: Pywps, tmp_path: Path) -> None:
    ran = execute.run("--destination", "out/", process_id="multiple_outputs", inputs={"count": 2})
    assert (ran.code, ran.last["state"]) == (0, "done"), ran.stderr
    assert ran.last["submission_id"] in pywps.jobs()
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".meta4", ".metalink"]


def test_a_manifest_of_files_is_followed(execute: Driven, tmp_path: Path) -> None:
    reference = """
        "wps:ExecuteResponse"."wps:ProcessOutputs"."wps:Output"[?"ows:Identifier" == 'output_meta4']
        | [0]."wps:Reference"."@href"
    """
    steps = [
        {"name": "document", "request": {"url": "{{ submission_id }}"}, "capture": {"metalink": reference}},
        {"name": "metalink", "request": {"url": "{{ captures.metalink }}"}},
    ]
    ran = execute.run(
        "--destination",
        "out/",
        changes={"result": {"steps": steps, "target": "/metalink/file/metaurl"}},
        process_id="multiple_outputs",
        inputs={"count": 3},
    )
    assert ran.code == 0, ran.stderr
    assert sorted(path.read_text() for path in (tmp_path / "out").iterdir()) == [
        "output: 0", "output: 1", "output: 2",
    ]  # fmt: skip


def test_an_output_is_a_file_when_asked_for(execute: Driven, tmp_path: Path) -> None:
    ran = execute.run("--destination", "out/", process_id="output_formats", outputs=["json"])
    assert ran.code == 0, ran.stderr
    (found,) = (tmp_path / "out").glob("*.json")
    assert json.loads(found.read_text())


def test_outputs_without_a_file_are_the_document(execute: Driven, tmp_path: Path) -> None:
    ran = execute.run("--destination", "out.xml", process_id="hello", inputs={"name": "Zoë & <Söhne>"})
    assert ran.code == 0, ran.stderr
    assert "Hello Zoë &amp; &lt;Söhne&gt;" in (tmp_path / "out.xml").read_text()


def test_an_input_may_be_a_document(execute: Driven, tmp_path: Path) -> None:
    document = {"data": SQUARE, "mime_type": "application/gml+xml"}
    ran = execute.run("--destination", "out.xml", process_id="poly_centroid", inputs={"xml": document})
    assert ran.code == 0, ran.stderr
    assert "1.00000,1.00000" in (tmp_path / "out.xml").read_text()


def test_a_process_that_fails_says_why(execute: Driven) -> None:
    ran = execute.run("--destination", "out/", process_id="show_error", inputs={"message": "disk full"})
    assert (ran.code, ran.last["state"], ran.last["raw_status"]) == (4, "failed", "wps:ProcessFailed")
    assert ran.last["message"].endswith("ended as failed: Process error: disk full")


def test_a_process_that_is_not_there_is_refused(execute: Driven) -> None:
    ran = execute.run(process_id="nowhere")
    assert (ran.code, ran.last["submission_id"]) == (1, None)
    assert "The server says: Unknown process 'nowhere'." in ran.last["message"]


def test_ctrl_c_leaves_a_process_that_nobody_can_stop(execute: Driven, pywps: Pywps) -> None:
    before = pywps.jobs()
    ran = execute.interrupted(lambda: pywps.jobs() - before, process_id="sleep", inputs={"delay": 10})
    assert (ran.code, ran.last["state"]) == (130, "cancelled")
    assert "wps/execute has no cancel request. It may run on at the API" in ran.last["message"]


def test_a_process_that_takes_too_long_times_out(execute: Driven) -> None:
    ran = execute.run(changes={"status": {"timeout": 1}}, process_id="sleep", inputs={"delay": 10})
    assert (ran.code, ran.last["state"]) == (5, "timed_out")
    assert "no cancel request" in ran.last["message"]


def test_an_unknown_status_document_is_refused(execute: Driven, pywps: Pywps) -> None:
    ran = execute.run(
        changes=asking_for(f"{{{{ '{pywps.url}/outputs/no-such-job.xml' }}}}"),
        process_id="hello",
        inputs={"name": "x"},
    )
    assert (ran.code, ran.last["state"]) == (1, "error")
    assert "no-such-job.xml answered 400" in ran.last["message"]
