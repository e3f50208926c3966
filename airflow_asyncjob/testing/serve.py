"""``python -m airflow_asyncjob.testing serve KIND``: a fake server in a process of its own."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import threading
import types
import typing
from collections.abc import Sequence
from typing import Any

from airflow_asyncjob.testing.server import KINDS, FakeJobServer, api_of

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the first line of stdout is the server's URL, the second its connection.

    :param arguments: the command line without the program's name; None: that of this process.
    :returns: exit code: 0 stopped by a signal, 1 the port cannot be used or an option's value is refused.
    """
    given = vars(_parser().parse_args(arguments))
    kind, port = given.pop("kind"), given.pop("port")
    del given["command"]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = FakeJobServer(kind, port=port, **given).start()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot serve {kind} on port {port}: {error}\n")
        return 1
    try:
        sys.stdout.write(f"{server.url}\n{json.dumps(server.connection)}\n")
        sys.stdout.flush()
        stop.wait()
    finally:
        server.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_asyncjob.testing",
        description="Fake job servers for tests and demonstrations.",
    )
    serve = parser.add_subparsers(dest="command", required=True).add_parser(
        "serve",
        help="serve a fake job API on 127.0.0.1 until SIGTERM or SIGINT",
        description="The first line of stdout is the URL, the second a connection with the accepted "
        "credentials, for ASYNCJOB_CONN. GET /_ledger tells what was asked; "
        "POST /_faults takes faults.",
    )
    kinds = serve.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind in KINDS:
        options = api_of(kind).options_class
        one = kinds.add_parser(kind, argument_default=argparse.SUPPRESS, help=f"see {options.__name__}")
        one.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
        for field in dataclasses.fields(options):
            one.add_argument(
                f"--{field.name.replace('_', '-')}", dest=field.name, **_argument(options, field)
            )
    return parser


def _argument(options: type[Any], field: dataclasses.Field[Any]) -> dict[str, Any]:
    hint = typing.get_type_hints(options)[field.name]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    text = f"default: {field.default!r}"
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction, "help": text}
    if typing.get_origin(hint) is typing.Literal:
        return {"choices": typing.get_args(hint), "help": text}
    return {"type": hint, "help": text}
