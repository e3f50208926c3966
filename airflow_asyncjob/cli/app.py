"""The commands and their options. What a command does is in the module of its name, loaded when called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_asyncjob.cli.outcome import ExitCode, code_of, error_object, print_json, tell
from airflow_asyncjob.errors import AsyncJobError, DefinitionError

__all__ = ["call"]

app = typer.Typer(
    name="asyncjob",
    help="Submit, wait, download: drives asynchronous job APIs from a definition, without Airflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# Its class has moved between modules of typer and click; its place in the tree has not.
_UsageError: Any = typer.BadParameter.__bases__[0]


def _names(incomplete: str) -> list[str]:
    """Complete the name of a packaged definition, for the shell."""
    from airflow_asyncjob.definition.catalogue import read_catalogue

    return [name for name in sorted(read_catalogue().entries) if name.startswith(incomplete)]


class Output(StrEnum):
    """For whom stdout is."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[
    Output,
    typer.Option("--output", help="text for people; json: the last line of stdout is one JSON object."),
]

BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Address of the API; overrides the one in ASYNCJOB_CONN, and the credentials go there only.",
    ),
]
TraceOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write every HTTP exchange as JSON, secrets removed.", dir_okay=False),
]


def call(arguments: list[str]) -> int:
    """Run one command and return its exit code. Errors that come before a job begins are told here."""
    as_json = "json" in arguments[arguments.index("--output") + 1 :][:1] if "--output" in arguments else False
    as_json = as_json or "--output=json" in arguments
    try:
        code = app(arguments, prog_name="asyncjob", standalone_mode=False)
        return int(code or 0)
    except _UsageError as error:
        error.show()
        if as_json:
            print_json(error_object(DefinitionError(error.format_message())))
        return ExitCode.USAGE
    except AsyncJobError as error:
        tell(f"asyncjob: {error.message}", code_of(error))
        if as_json:
            print_json(error_object(error))
        return code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        tell("asyncjob: interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except Exception as error:
        return _own_mistake(error, as_json=as_json)


def _pipe_closed() -> int:
    """Whoever read stdout has gone, as ``head`` does; nothing may be written there any more."""
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.ERROR


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"asyncjob {version('airflow-asyncjob')}")
        except PackageNotFoundError:
            typer.echo("asyncjob, not installed: run from its source")
        raise typer.Exit


def _own_mistake(error: Exception, *, as_json: bool) -> int:
    """Something nobody thought of; a program that reads the last line of stdout still gets its object."""
    import traceback

    traceback.print_exception(error)
    tell(f"asyncjob: a mistake in asyncjob itself: {type(error).__name__}; the lines above say where")
    if as_json:
        message = f"a mistake in asyncjob itself: {type(error).__name__}; stderr says where"
        print_json({"state": "error", "message": message, "error": type(error).__name__})
    return ExitCode.ERROR


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Submit, wait, download: drives asynchronous job APIs from a definition, without Airflow."""


@app.command()
def run(
    definition: Annotated[
        str,
        typer.Argument(
            metavar="DEFINITION",
            help="A file, or a packaged name such as sendgrid/contacts_export.",
            autocompletion=_names,
        ),
    ],
    base_url: BaseUrlOption = None,
    set_inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An input, read by its type; a list or an object as JSON, records as a path.",
        ),
    ] = None,
    destination: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Where the result goes: a file, a folder ending in /, a URI, or - for stdout (records as "
            "JSON lines). Without it nothing is downloaded, and the address of the result is printed.",
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
    trace: TraceOption = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Write at most N records.")] = None,
    submission_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Submit nothing: carry on this job, which runs already. Its waits are counted from now.",
        ),
    ] = None,
) -> int:
    """Drive one job: submit, wait, download.

    Credentials come from the environment variable ASYNCJOB_CONN, an Airflow connection as a URI or as JSON,
    such as {"host": "https://api.example.com", "login": "me", "password": "..."}. A login without an auth
    setting is basic.

    Templates see run_id cli__TIMESTAMP, ds and ts of now in UTC, dag_id "cli", task_id the definition's name,
    and map_index -1.

    Ctrl-C cancels the remote job and waits for its answer; a second Ctrl-C exits at once.

    Exit codes: 0 done or no data, 1 our error, 2 definition or usage, 3 partial or records rejected, 4 failed
    or cancelled, 5 timed out, 130 Ctrl-C.
    """
    from airflow_asyncjob.cli.run import RunOptions, run_job

    return run_job(
        RunOptions(
            definition=definition,
            base_url=base_url,
            set_inputs=tuple(set_inputs or ()),
            destination=destination,
            as_json=output is Output.JSON,
            trace=trace,
            limit=limit,
            submission_id=submission_id,
        )
    )


@app.command()
def jobs(
    definition: Annotated[
        str,
        typer.Argument(
            metavar="DEFINITION",
            help="A file, or a packaged name such as ogc/process.",
            autocompletion=_names,
        ),
    ],
    base_url: BaseUrlOption = None,
    set_inputs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An input that the request for the list uses."),
    ] = None,
    output: OutputOption = Output.TEXT,
    trace: TraceOption = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Show at most N jobs.")] = None,
) -> int:
    """Show the jobs that the API has, as its list says: ID, state, status.

    The definition's section list says how to ask. With --output json the last line of stdout is an object
    with jobs: id, state (null: not mapped), raw_status, submitted_at, message, marker.

    Exit codes: 0 done, also where there are no jobs, 1 our error, 2 definition or usage, 130 Ctrl-C.
    """
    from airflow_asyncjob.cli.jobs import JobsOptions, list_jobs

    return list_jobs(
        JobsOptions(
            definition=definition,
            base_url=base_url,
            set_inputs=tuple(set_inputs or ()),
            as_json=output is Output.JSON,
            trace=trace,
            limit=limit,
        )
    )


@app.command()
def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Definition files, or packaged names.")
    ],
    output: OutputOption = Output.TEXT,
) -> int:
    """Check definitions and show every mistake of every file. Exits 2 when there is one."""
    from airflow_asyncjob.cli.validate import validate_files

    return validate_files(files, as_json=output is Output.JSON)


@app.command()
def schema() -> None:
    """Print the JSON Schema of definition files, for editors."""
    import json

    from airflow_asyncjob.definition.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command("list")
def list_(output: OutputOption = Output.TEXT) -> int:
    """Show the definitions that can be used by name: those that ship, and those of installed packages.

    With --output json the last line of stdout is an object with definitions (name, description, from, file,
    error) and warnings. What is wrong with a package goes to stderr, and hides no definition of another one.
    """
    from airflow_asyncjob.cli.catalogue import list_definitions

    return list_definitions(as_json=output is Output.JSON)


@app.command()
def show(
    definition: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A packaged name such as sendgrid/contacts_export, or a file.",
            autocompletion=_names,
        ),
    ],
    output: OutputOption = Output.TEXT,
) -> int:
    """Show a definition: its file, and what the connection, the inputs and the limits are.

    With --output json the last line of stdout is an object with name, description, from, file, connection,
    auth, inputs, limits, rejects and text.
    """
    from airflow_asyncjob.cli.catalogue import show_definition

    return show_definition(definition, as_json=output is Output.JSON)


@app.command()
def new(
    from_name: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="From a packaged definition, with its comments.",
            autocompletion=_names,
        ),
    ] = None,
    from_curl: Annotated[
        bool, typer.Option("--from-curl", help="From curl commands: those in the files, or pasted to stdin.")
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME or FILE]...",
            help="With --from: the name of the new definition, such as shop/contacts. With --from-curl: "
            "files with curl commands; none: stdin.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write here; without it --from writes NAME.yaml, and --from-curl to stdout.",
            dir_okay=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output file.")] = False,
) -> int:
    """Start a definition, from a packaged one or from curl commands.

    Give the curl commands in the order of use: the one that submits the job, the one that asks for its
    status, the one that downloads the result. No credential of theirs is written.
    """
    from airflow_asyncjob.cli.new import new_from_catalogue, new_from_curl

    if from_curl == (from_name is not None):
        raise typer.BadParameter("say what the definition is started from: --from NAME, or --from-curl")
    if from_name is None:
        return new_from_curl([Path(file) for file in given or ()], output, force=force)
    if len(given or ()) != 1:
        raise typer.BadParameter("--from goes with one name, that of the new definition: asyncjob new shop/x")
    return new_from_catalogue((given or [""])[0], from_name, output, force=force)
