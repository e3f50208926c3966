"""A real moto server: the APIs of AWS, S3, Athena and Step Functions among them, on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from airflow_asyncjob.testing.processes import ProcessFamily, free_port
from tests.servers.environments import environment

REGION = "us-east-1"


@dataclass(frozen=True)
class Moto:
    """A running server.

    :param url: where it answers, without a path.
    :param login: an access key ID; any will do unless it verifies signatures.
    :param password: the secret access key.
    """

    url: str

    login: str = "test"
    password: str = "test-secret-key"

    def client(self, service: str) -> Any:
        """Give a boto3 client of one of its services."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.login,
            aws_secret_access_key=self.password,
        )

    def s3(self) -> Any:
        """Give a boto3 client of its S3."""
        return self.client("s3")

    def connection(self) -> dict[str, Any]:
        """Give the fields of an Airflow connection to it."""
        return {
            "conn_type": "aws",
            "login": self.login,
            "password": self.password,
            "extra": {"endpoint_url": self.url, "region_name": REGION},
        }

    def control(self, path: str, settings: dict[str, Any]) -> None:
        """Send a request to moto's own API, which no signature guards."""
        httpx.post(f"{self.url}/moto-api/{path}", json=settings).raise_for_status()

    def next_result(self, rows: list[list[str]]) -> None:
        """Say what the next Athena query finds: the names of the columns, then the rows."""
        given = [{"Data": [{"VarCharValue": value} for value in row]} for row in rows]
        self.control(
            "static/athena/query-results",
            {"region": REGION, "results": [{"rows": given, "column_info": []}]},
        )

    def athena_runs_for(self, looks: int) -> None:
        """Let an Athena query reach its next state after so many looks at it."""
        transition = {"progression": "manual", "times": looks}
        self.control(
            "state-manager/set-transition", {"model_name": "athena::execution", "transition": transition}
        )

    def state_machine(self, name: str, states: dict[str, Any], first: str) -> str:
        """Make a state machine and return its ARN."""
        machine = self.client("stepfunctions").create_state_machine(
            name=name,
            definition=json.dumps({"StartAt": first, "States": states}),
            roleArn="arn:aws:iam::123456789012:role/test",
        )
        arn: str = machine["stateMachineArn"]
        return arn


@contextmanager
def running_moto(folder: Path, *, verifies: bool = False) -> Iterator[Moto]:
    """Start a moto server.

    :param folder: for its log; made when it is missing.
    :param verifies: it verifies signatures, and runs state machines of Step Functions; False: it takes any
        credentials.
    :raises CannotInstall: its packages cannot be had here.
    """
    programs = environment("moto")
    port = free_port()
    family = ProcessFamily(folder)
    try:
        family.start(
            "moto",
            [programs / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"} if verifies else None,
        )
        url = f"http://127.0.0.1:{port}"
        family.wait_ready("moto", lambda: httpx.get(f"{url}/moto-api/data.json").is_success, timeout=180)
        yield _with_a_key(Moto(url)) if verifies else Moto(url)
    finally:
        family.stop()


def _with_a_key(moto: Moto) -> Moto:
    """Make a user who may do everything; these are the three calls that need no signature."""
    iam = moto.client("iam")
    iam.create_user(UserName="tester")
    anything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_user_policy(UserName="tester", PolicyName="all", PolicyDocument=json.dumps(anything))
    key = iam.create_access_key(UserName="tester")["AccessKey"]
    found = Moto(moto.url, key["AccessKeyId"], key["SecretAccessKey"])
    found.control("config", {"stepfunctions": {"execute_state_machine": True}})
    return found
