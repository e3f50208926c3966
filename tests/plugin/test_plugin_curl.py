"""The curl command of an exchange: what a shell makes of it."""

from __future__ import annotations

import subprocess

import pytest

from airflow_asyncjob.plugin.curl import curl_of

HOSTILE = [
    "it's",
    "$(touch pwned)",
    "`id`",
    '"; rm -rf ~; "',
    "a\\b",
    "!history",
    "a & b | c > d",
    "ü 漢",
    "*",
]


def words(command: str) -> list[str]:
    """What a POSIX shell hands to the program."""
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace("curl ", "printf '%s\\0' ", 1)],
        capture_output=True,
        check=True,
        text=True,
    )
    assert not done.stderr
    return done.stdout.split("\0")[:-1]


def test_a_poll_is_its_address_and_its_headers() -> None:
    command = curl_of(
        {
            "method": "GET",
            "url": "https://vendor.example/jobs/1?a=1&b=2",
            "request_headers": {
                "accept": "application/json",
                "authorization": "***",
                "host": "vendor.example",
            },
        }
    )
    assert command == (
        "curl 'https://vendor.example/jobs/1?a=1&b=2' \\\n"
        "  -H 'accept: application/json' \\\n"
        "  -H 'authorization: ***'"
    )


@pytest.mark.parametrize(
    ("content_type", "file"),
    [
        ("application/json", "body.json"),
        ("application/xml; charset=utf-8", "body.xml"),
        ("text/csv", "body.csv"),
        ("application/octet-stream", "body.bin"),
    ],
)
def test_a_body_that_the_trace_does_not_have_is_read_from_a_file(content_type: str, file: str) -> None:
    command = curl_of(
        {
            "method": "POST",
            "url": "https://vendor.example/jobs",
            "request_headers": {"Content-Type": content_type, "Content-Length": "12"},
            "request_bytes": 12,
        }
    )
    assert words(command) == [
        *("-X", "POST", "https://vendor.example/jobs", "-H", f"Content-Type: {content_type}"),
        *("--data-binary", f"@{file}"),
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_shell_reads_every_value_as_it_was(text: str) -> None:
    command = curl_of({"method": text, "url": text, "request_headers": {"X-Note": text}})
    assert words(command) == ["-X", text, text, "-H", f"X-Note: {text}"]


def test_a_line_break_in_a_value_stays_in_its_line() -> None:
    command = curl_of({"url": "https://x.example/", "request_headers": {"X-Note": "a\r\nrm -rf ~"}})
    assert words(command) == ["https://x.example/", "-H", "X-Note: a rm -rf ~"]
