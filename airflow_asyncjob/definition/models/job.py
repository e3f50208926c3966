"""AsyncJob: a whole definition."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.base import Model, mistakes
from airflow_asyncjob.definition.models.cancel import Cancel
from airflow_asyncjob.definition.models.inputs import Input
from airflow_asyncjob.definition.models.joblist import JobList
from airflow_asyncjob.definition.models.limits import Limits
from airflow_asyncjob.definition.models.refusal import Refusal
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.result import Result
from airflow_asyncjob.definition.models.rules import Errors
from airflow_asyncjob.definition.models.status import Status
from airflow_asyncjob.definition.models.submit import Submit
from airflow_asyncjob.definition.problems import not_a, shown

__all__ = ["JobModel"]


def _version(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(not_a(value, "one of: 1"))
    if isinstance(value, int) and value > 1:
        raise ValueError(
            f"{shown(value)} is newer than this package, which knows version 1; upgrade airflow-asyncjob"
        )
    return value


class JobModel(Model):
    """How to talk to one kind of asynchronous job: the schema that files, objects and flat arguments
    share.
    """

    version: Annotated[Literal[1], BeforeValidator(_version)] = Field(
        default=1, description="Version of this schema."
    )
    name: str = Field(
        default="", description="Name under which teams share it, such as sendgrid/contacts_export."
    )
    description: str = Field(default="", description="What the job does, for people.")
    connection: str | None = Field(
        default=None, description="Airflow connection to use when the task names none."
    )
    link: str | None = Field(
        default=None,
        description="Template of the job's page at the remote, for people; a link in the Airflow UI. Of the "
        "connection it sees host, port and schema only.",
    )
    inputs: dict[str, Input] = Field(default_factory=dict, description="Parameters, given for each job.")
    submit: Submit | None = Field(default=None, description="Creates the job.")
    status: Status | None = Field(default=None, description="Asks how the job is doing.")
    result: Result | None = Field(default=None, description="Downloads what the job made.")
    cancel: Cancel | None = Field(
        default=None,
        description="Stops the job: on timeout, when its task is marked failed, and when a new submission "
        "replaces it.",
    )
    delete: Request | None = Field(
        default=None, description="Sent after the download, so that the API can forget the job."
    )
    list: JobList | None = Field(
        default=None, description="Asks which jobs the API has, for `asyncjob jobs`."
    )
    auth: Auth | None = Field(
        default=None, description="null: as the connection says; a login without more is basic."
    )
    errors: Errors = Field(default_factory=Errors, description="What certain answers mean.")
    limits: Limits = Field(default_factory=Limits, description="Sizes, repeats and timeouts.")

    @model_validator(mode="after")
    def _something(self) -> JobModel:
        if self.submit is None and self.status is None and self.result is None:
            raise mistakes([("", "a definition has at least one of the sections submit, status, result")])
        asked = self.status.request if self.status else None
        if self.result is not None and self.result.from_ == "status" and asked is None:
            said = "the status answer is to be the result, and there is no `status.request` to ask for it"
            raise mistakes([("result.from", said)])
        if self.result is not None and self.result.secret and self.status is not None and asked is None:
            said = "the download asks for a secret target anew, and there is no `status.request` to ask with"
            raise mistakes([("result.secret", said)])
        found = _idle_about_rejects(self.result, self.submit)
        if found:
            raise mistakes(found)
        for section in ("cancel", "delete"):
            request = getattr(self, section)
            if request is not None and "method" not in request.model_fields_set:
                raise mistakes(
                    [
                        (
                            f"{section}.method",
                            f"required: a {section} is sent by POST or DELETE, as the API says",
                        )
                    ]
                )
        return self


def _idle_about_rejects(result: Result | None, submit: Submit | None) -> list[tuple[str, str]]:
    """Return what is said of rejects that there cannot be; a part of a definition may lack them."""
    if submit is None:
        return []
    if submit.upload is not None:
        return [] if submit.upload.key else _without_key(result, submit)
    if result is None:
        return []
    found = []
    if result.rejects is not None and result.rejects.from_ == "upload":
        found.append(("result.rejects.from", "there is no `submit.upload`, whose rejects these would be"))
    if result.rejects is None:
        said = "would be ignored: there are no `rejects`, and nothing is uploaded"
        given = [name for name in ("on_rejects", "tolerated") if name in result.model_fields_set]
        found += [(f"result.{name}", said) for name in given]
    elif not result.is_there and isinstance(result.tolerated, str):
        said = "is a share, and nothing says of how many records; give a number of records"
        found.append(("result.tolerated", said))
    return found


def _without_key(result: Result | None, submit: Submit) -> list[tuple[str, str]]:
    """Return the keys of rejects that no field of the caller's records is compared with."""
    places: dict[str, Refusal | None] = {
        f"submit.steps.{at}": step.rejects for at, step in enumerate(submit.steps or ())
    }
    if result is not None:
        places["result"] = result.rejects
    said = "would be ignored: `submit.upload.key` does not say which field of the caller's record it is"
    return [
        (f"{place}.rejects.key", said)
        for place, rejects in places.items()
        if rejects is not None and rejects.key is not None
    ]
