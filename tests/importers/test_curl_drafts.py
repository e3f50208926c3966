"""Definitions started from curl commands."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.errors import DefinitionError
from airflow_asyncjob.importers.draft import draft_from_curl, unfilled

SENDGRID = r"""
curl -X POST https://api.sendgrid.com/v3/marketing/contacts/exports \
  --header "Authorization: Bearer SG.s3cr3t" \
  --header 'Content-Type: application/json' \
  --data '{"list_ids": ["ca1cc8d2"], "file_type": "csv"}'

curl --request GET \
  --url https://api.sendgrid.com/v3/marketing/contacts/exports/d7b1-44a0-8c \
  --header 'Authorization: Bearer SG.s3cr3t'

curl -o x.csv 'https://bucket.s3.amazonaws.com/exports/abc.csv.gz?X-Amz-Signature=s3cr3t'
"""

CLASSIC = r"""
curl -u 'user:s3cr3t' -d name=x -d 'name=y&k=a%20b' --data-urlencode 'q=a b&c' https://api.acme.co/v1/jobs
curl -u user:s3cr3t https://api.acme.co/v1/jobs/{job_id}/status
curl -u user:s3cr3t https://api.acme.co/v1/jobs/{job_id}/results.csv -o r.csv
curl -u user:s3cr3t -X POST https://api.acme.co/v1/jobs/{job_id}/cancel
curl -u user:s3cr3t -X DELETE https://api.acme.co/v1/jobs/{job_id}
"""


def load(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def drafted(commands: str) -> Any:
    return load(draft_from_curl(commands).text)


def submitted(command: str) -> Any:
    return drafted(command)["submit"]["request"]


def test_three_commands_become_submit_status_and_result() -> None:
    draft = draft_from_curl(SENDGRID)
    definition = load(draft.text)
    assert definition["name"] == "sendgrid/exports"
    assert definition["auth"] == {"type": "bearer"}
    assert definition["submit"]["request"] == {
        "url": "/v3/marketing/contacts/exports",
        "json": {"list_ids": ["ca1cc8d2"], "file_type": "csv"},
    }
    assert definition["status"]["request"] == {"url": "/v3/marketing/contacts/exports/{{ submission_id }}"}
    assert definition["result"] == {"target": "FILL_IN_TARGET", "format": "csv"}
    assert "# Base URL (the connection's host, or --base-url): https://api.sendgrid.com\n" in draft.text
    assert "# Credentials: a bearer token. It is the connection's password" in draft.text
    assert '# Try it: ASYNCJOB_CONN=\'{"password": "..."}\' asyncjob run THIS_FILE --base-url' in draft.text
    assert "taken from the status answer" in " ".join(draft.notes)


def test_every_role_is_found_and_the_placeholder_is_the_id() -> None:
    definition = drafted(CLASSIC)
    assert definition["submit"]["request"] == {
        "url": "/v1/jobs",
        "form": {"name": ["x", "y"], "k": "a b", "q": "a b&c"},
    }
    assert definition["status"]["request"] == {"url": "/v1/jobs/{{ submission_id }}/status"}
    assert definition["result"] == {
        "request": {"url": "/v1/jobs/{{ submission_id }}/results.csv"},
        "format": "csv",
    }
    assert definition["cancel"] == {"method": "POST", "url": "/v1/jobs/{{ submission_id }}/cancel"}
    assert definition["delete"] == {"method": "DELETE", "url": "/v1/jobs/{{ submission_id }}"}
    assert definition["auth"] == {"type": "basic"}


@pytest.mark.parametrize("commands", [SENDGRID, CLASSIC])
def test_no_secret_is_written(commands: str) -> None:
    draft = draft_from_curl(commands)
    assert "s3cr3t" not in draft.text
    assert "s3cr3t" not in " ".join(draft.notes)


@pytest.mark.parametrize("commands", [SENDGRID, CLASSIC])
def test_a_filled_draft_is_a_valid_definition(commands: str) -> None:
    text = draft_from_curl(commands).text
    assert unfilled(text)
    for placeholder, value in (
        ("FILL_IN_ID", "id"),
        ("FILL_IN_STATUS", "status"),
        ("FILL_IN_RUNNING", "pending"),
        ("FILL_IN_DONE", "ready"),
        ("FILL_IN_FAILED", "failure"),
        ("FILL_IN_TARGET", "urls"),
    ):
        text = text.replace(placeholder, value)
    job = AsyncJob.load(load(text))
    assert unfilled(text) == []
    assert job.status is not None
    assert job.status.values.done == ("ready",)


def test_what_is_left_to_fill_in_is_named_with_its_line_and_comments_do_not_count() -> None:
    assert unfilled("# FILL_IN_X\nid: FILL_IN_ID # FILL_IN_Y\npath: a") == [(2, "FILL_IN_ID")]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("curl https://h/p -d a=1", {"url": "/p", "form": {"a": "1"}}),
        ("curl https://h/p -d '{\"a\": 1}'", {"url": "/p", "json": {"a": 1}}),
        ("curl https://h/p --json '[1]'", {"url": "/p", "json": [1]}),
        (
            "curl https://h/p -H 'Content-Type: application/vnd.api+json' -d '{}'",
            {"url": "/p", "headers": {"Content-Type": "application/vnd.api+json"}, "json": {}},
        ),
        (
            "curl https://h/p -H 'Content-Type: text/xml' -d '<a>1</a>'",
            {"url": "/p", "headers": {"Content-Type": "text/xml"}, "xml": "<a>1</a>"},
        ),
        ("curl https://h/p -H 'Content-Type: application/xml' -d '<a/>'", {"url": "/p", "xml": "<a/>"}),
        (
            "curl https://h/p -H 'Content-Type: text/plain' --data-binary 'SELECT 1'",
            {"url": "/p", "headers": {"Content-Type": "text/plain"}, "text": "SELECT 1"},
        ),
        ("curl -X PUT https://h/p", {"method": "PUT", "url": "/p"}),
        ("curl -XPOST 'https://h/p?a=1&a=2&b='", {"url": "/p", "params": {"a": ["1", "2"], "b": ""}}),
        (
            "curl -G https://h/p -d a=1 --data-urlencode 'b=c d'",
            {"method": "GET", "url": "/p", "params": {"a": "1", "b": "c d"}},
        ),
        ("curl -X POST https://h", {"url": "/"}),
        ("curl -X POST https://h/a%20b/c", {"url": "/a%20b/c"}),
        ("curl -sSLk --compressed --http2 -m 5 -o f -X POST https://h/p", {"url": "/p"}),
        (
            "curl -X POST https://h/p -H 'Accept: */*' -H 'User-Agent: Mozilla/5.0' -H 'Origin: x'",
            {"url": "/p"},
        ),
        ("curl -X POST https://h/p -A tool/1", {"url": "/p", "headers": {"User-Agent": "tool/1"}}),
        (
            "curl -X POST https://h/p -H 'Idempotency-Key: 12'",
            {"url": "/p", "headers": {"Idempotency-Key": "{{ idempotency_key }}"}},
        ),
        (
            "curl https://h/p -F kind=orders -F 'rows=@a/b.csv;type=text/x-csv;filename=o.csv'",
            {
                "url": "/p",
                "multipart": {
                    "kind": "orders",
                    "rows": {
                        "file": "{{ inputs.rows }}",
                        "filename": "o.csv",
                        "content_type": "text/x-csv",
                    },
                },
            },
        ),
        (
            """curl https://h/p -H 'Content-Type: multipart/form-data' -F 'a={"b": 1};type=application/json' \
            -F 'c="x;y,\\"z\\""' --form-string 'd=@e;f' -F 'g=1,2' \
            -F 'h="i";type=text/plain; charset=utf-8'""",
            {
                "url": "/p",
                "multipart": {
                    "a": {"text": '{"b": 1}', "content_type": "application/json"},
                    "c": 'x;y,"z"',
                    "d": "@e;f",
                    "g": "1,2",
                    "h": {"text": "i", "content_type": "text/plain; charset=utf-8"},
                },
            },
        ),
        (
            "curl https://h/p -F 'my file=@\"a;b.csv\"' -F 'file=@$HOME/c.csv' -F api_key=s3cr3t",
            {
                "url": "/p",
                "multipart": {
                    "my file": {"file": "{{ inputs.my_file }}"},
                    "file": {"file": "{{ inputs.file }}"},
                    "api_key": "{{ connection.extra.api_key }}",
                },
            },
        ),
        ("curl https://h/p --data-binary @a.bin", {"url": "/p", "file": "{{ inputs.file }}"}),
        (
            "curl https://h/p -H 'Content-Type: text/csv' --data-binary @-",
            {"url": "/p", "headers": {"Content-Type": "text/csv"}, "file": "{{ inputs.file }}"},
        ),
        (
            "curl -T 'a/b c.csv' https://h/p/",
            {"method": "PUT", "url": "/p/b%20c.csv", "file": "{{ inputs.file }}"},
        ),
        ("curl -X POST --upload-file a.csv https://h/p", {"url": "/p", "file": "{{ inputs.file }}"}),
        ("curl --url-query a=1 -X POST https://h/p", {"url": "/p", "params": {"a": "1"}}),
    ],
)
def test_one_command_is_read_as_curl_sends_it(command: str, expected: dict[str, Any]) -> None:
    assert submitted(command) == expected


def test_braces_of_the_literal_text_stay_literal() -> None:
    from airflow_asyncjob.definition.templates import render

    request = submitted("""curl https://h/p -d '{"query": "{ a } {{b}} {% c %} {# d #}"}'""")
    assert render(request["json"]["query"], {}, where="query") == "{ a } {{b}} {% c %} {# d #}"


def test_shell_variables_become_inputs() -> None:
    definition = drafted(
        """curl https://h/$TENANT/jobs -d "{\\"day\\": \\"$(date +%F)\\", \\"who\\": \\"x-${USER_ID}\\"}" """
    )
    assert definition["submit"]["request"] == {
        "url": "/{{ inputs.tenant }}/jobs",
        "json": {"day": "{{ inputs.date_f }}", "who": "x-{{ inputs.user_id }}"},
    }
    assert definition["inputs"]["tenant"] == {
        "type": "string",
        "description": "Stood as $TENANT in the curl command.",
    }
    assert set(definition["inputs"]) == {"tenant", "date_f", "user_id"}


@pytest.mark.parametrize(
    ("option", "auth"),
    [
        ("-H 'Authorization: Basic czNjcjN0'", {"type": "basic"}),
        ("-H 'authorization: bearer s3cr3t'", {"type": "bearer"}),
        (
            "-H 'Authorization: Token s3cr3t'",
            {"type": "api_key", "header": "Authorization", "prefix": "Token "},
        ),
        ("-H 'Authorization: s3cr3t'", {"type": "api_key", "header": "Authorization"}),
        ("-H 'X-Api-Key: s3cr3t'", {"type": "api_key", "header": "X-Api-Key"}),
        ("--oauth2-bearer s3cr3t", {"type": "bearer"}),
        ("-u me:s3cr3t", {"type": "basic"}),
        ("--url-query api_key=s3cr3t", {"type": "api_key", "query": "api_key"}),
        ("--cookie sid=s3cr3t", None),
        ("-H 'Cookie: sid=s3cr3t'", None),
    ],
)
def test_credentials_are_moved_out(option: str, auth: dict[str, str] | None) -> None:
    draft = draft_from_curl(f"curl -X POST https://h/p {option}")
    definition = load(draft.text)
    assert definition.get("auth") == auth
    assert definition["submit"]["request"] == {"url": "/p"}
    assert "s3cr3t" not in draft.text + str(draft.notes)


def test_a_user_in_the_url_is_a_credential() -> None:
    draft = draft_from_curl("curl -X POST https://me:s3cr3t@h/p")
    assert load(draft.text)["auth"] == {"type": "basic"}
    assert "s3cr3t" not in draft.text
    assert "https://h\n" in draft.text


def test_a_second_secret_goes_to_the_extra_of_the_connection() -> None:
    draft = draft_from_curl(
        "curl https://h/p -H 'Authorization: Bearer s3cr3t' -H 'X-Client-Secret: s3cr3t' "
        """-d '{"login": {"userPassword": "s3cr3t", "pageToken": "7"}}'"""
    )
    assert load(draft.text)["submit"]["request"] == {
        "url": "/p",
        "headers": {"X-Client-Secret": "{{ connection.extra.x_client_secret }}"},
        "json": {"login": {"userPassword": "{{ connection.extra.userpassword }}", "pageToken": "7"}},
    }
    assert "of type asyncjob, as JSON: x_client_secret, userpassword." in draft.text
    assert "s3cr3t" not in draft.text


def test_secrets_in_xml_are_moved_out() -> None:
    request = submitted("curl https://h/p -d '<a><b:Password x=\"1\">s3cr3t</b:Password><c>d</c></a>'")
    assert request["xml"] == '<a><b:Password x="1">{{ connection.extra.password }}</b:Password><c>d</c></a>'


@pytest.mark.parametrize("name", ["page_token", "nextPageToken", "keyword", "author", "primary_key", "key"])
def test_what_only_sounds_like_a_secret_stays(name: str) -> None:
    assert submitted(f'curl https://h/p --json \'{{"{name}": "x"}}\'')["json"] == {name: "x"}


def test_a_login_is_left_out_and_said() -> None:
    draft = draft_from_curl(
        "curl https://h/oauth/token -d grant_type=client_credentials -d client_secret=s3cr3t\n"
        "curl https://h/jobs -d a=1 -H 'Authorization: Bearer s3cr3t'"
    )
    assert load(draft.text)["submit"]["request"]["url"] == "/jobs"
    assert "line 1: a login was left out" in draft.notes[0]
    assert "s3cr3t" not in draft.text


def test_the_id_is_found_in_a_query_and_in_a_body() -> None:
    definition = drafted(
        "curl -X POST 'https://h/api/report?type=full'\n"
        "curl 'https://h/api/status?id=998877'\n"
        "curl https://h/api/download -d id=998877\n"
    )
    assert definition["status"]["request"] == {"url": "/api/status", "params": {"id": "{{ submission_id }}"}}


def test_the_status_is_told_from_the_result_whatever_their_order() -> None:
    definition = drafted(
        "curl -X POST https://h/jobs\ncurl https://h/jobs/17/result\ncurl https://h/jobs/17/status\n"
    )
    assert definition["status"]["request"]["url"] == "/jobs/{{ submission_id }}/status"
    assert definition["result"]["request"]["url"] == "/jobs/{{ submission_id }}/result"


def test_a_lone_submit_asks_for_the_rest() -> None:
    draft = draft_from_curl("curl -X POST https://h/jobs")
    definition = load(draft.text)
    assert definition["status"]["request"] == {"url": "FILL_IN_STATUS_URL"}
    assert "result" not in definition
    assert "no command downloads a result" in " ".join(draft.notes)


def test_what_has_no_role_is_said() -> None:
    draft = draft_from_curl(
        "ls -l\ncurl https://h/health\nTOKEN=s3cr3t\ncurl -X POST https://h/jobs\ncurl -I https://h/jobs/1"
    )
    assert "line 1: skipped, not a curl command (it starts with 'ls')" in draft.notes
    assert "line 2: not used" in draft.notes
    assert "line 5: not used" in draft.notes
    assert "s3cr3t" not in str(draft)


def test_a_request_to_another_host_keeps_its_host() -> None:
    draft = draft_from_curl("curl -X POST https://h/jobs\ncurl -X POST https://other/jobs/$ID/cancel")
    assert load(draft.text)["cancel"]["url"].startswith("https://other/jobs/")
    assert "credentials are not sent there" in " ".join(draft.notes)


def test_what_curl_encodes_is_decoded_once() -> None:
    request = submitted("curl https://h/p --data-urlencode '=a b' --data-urlencode 'c d' -d e=f")
    assert request["form"] == {"a b": "", "c d": "", "e": "f"}


def test_digest_is_said_to_be_unknown() -> None:
    draft = draft_from_curl("curl --digest -u me:s3cr3t -X POST https://h/p")
    assert "digest authentication is not among none, basic, bearer and api_key" in draft.notes


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ("hello", "There is no curl command"),
        ("curl -F a=@b,c https://h/p", "line 1: curl: -F a: sends several files in one field; give"),
        ("curl -F a=b -F a=c https://h/p", "-F a is given twice; a definition has each field of a form once"),
        ("curl -F 'a=<b' https://h/p", "-F a: reads its value from a file; paste"),
        ("curl -F 'a=b; c' https://h/p", "-F a: has '; c' after its value, which is neither ;type="),
        ("curl -F 'a=@b;encoder=base64' https://h/p", "has ';encoder=base64' after its value"),
        ("curl -F 'a=(;type=x/y' https://h/p", "has parts within a part"),
        ("curl -F a https://h/p", "-F a: a field is NAME=VALUE"),
        ("curl -F a=@b -d c=d https://h/p", "a request has one body, and several of -d, -F and a file"),
        ("curl -G -F a=@b https://h/p", "-G puts data into the URL"),
        ("curl -T a -T b https://h/p", "a definition sends one file as its body"),
        ("curl -d @file https://h/p", r"--data @file reads a file; paste the file's content"),
        ("curl -H @file https://h/p", "reads headers from a file"),
        ("curl --bogus https://h/p", "option --bogus not recognized. Remove it"),
        ("curl -s", "exactly one URL; none"),
        (
            "\n\ncurl -H Authorization: Bearer s3cr3t https://h/p",
            "line 3: curl: a command needs exactly one URL; 3 words",
        ),
        ("curl ftp://h/p", "is not an http or https URL"),
    ],
)
def test_what_cannot_be_said_is_refused(commands: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        draft_from_curl(commands)
    assert "s3cr3t" not in str(caught.value)


def test_a_file_is_an_input_and_the_draft_sends_it() -> None:
    draft = draft_from_curl("curl -F 'rows=@/home/me/rows.csv' -F 'copy=@/home/me/rows.csv' https://h/p")
    definition = load(draft.text)
    assert definition["inputs"] == {
        name: {
            "type": "string",
            "description": "Path or URI of the file to send; it was /home/me/rows.csv in the curl command.",
        }
        for name in ("rows", "copy")
    }
    AsyncJob.load(
        {**definition, "submit": {**definition["submit"], "id": "id"}, "status": None}, partial=True
    )


def test_a_file_of_a_later_request_is_said_to_belong_to_a_step() -> None:
    draft = draft_from_curl(
        "curl -X POST https://h/jobs\ncurl -T a https://h/jobs/j1/data\ncurl https://h/jobs/j1/status"
    )
    assert "only a submit sends files; make this request a step of it (submit.steps)" in str(draft.notes)
