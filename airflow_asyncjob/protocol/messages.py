"""What goes between the protocol and whoever drives it: commands out, events in.

The protocol says the next command; the driver does it and tells what happened; again, until ``Finish``.
Times are seconds since the epoch (UTC) as floats, waits are seconds. Nothing here reads a clock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from airflow_asyncjob.definition.models.extractor import Extractor
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.definition.models.rules import State
from airflow_asyncjob.errors import AsyncJobError, CheckpointError
from airflow_asyncjob.protocol.parts import Plan, Planned, Refusals

__all__ = [
    "BodyBroken",
    "BodyEnded",
    "Command",
    "Event",
    "Failed",
    "Fault",
    "Finish",
    "Outcome",
    "Purpose",
    "Receive",
    "Refresh",
    "Refreshed",
    "Responded",
    "Response",
    "Resume",
    "Send",
    "Store",
    "Stored",
    "Submission",
    "Wait",
    "Woken",
]


class Purpose(enum.StrEnum):
    """Why a request is sent; it decides how its answer is read and whether it may be repeated."""

    SUBMIT = "submit"
    POLL = "poll"
    LOG = "log"
    RESULT = "result"
    CANCEL = "cancel"
    DELETE = "delete"
    LIST = "list"
    AUTH = "auth"
    """Fetches a token or a session. The protocol never asks for it: the driver does, before a request."""


class Fault(enum.StrEnum):
    """How an exchange failed without a usable answer."""

    NOT_SENT = "not_sent"
    """No connection: the request certainly did not arrive."""
    LOST = "lost"
    """It may have arrived: reset, time-out or broken answer after the request went out."""
    TOO_LARGE = "too_large"
    """The answer's body is over the limit; the code and the headers were fine."""
    REFUSED = "refused"
    """Never sent, and would never be: a template that cannot be rendered, a bad URL, a certificate that is
    not trusted, a forbidden origin."""


@dataclass(frozen=True)
class Response:
    """One answer of the API, whole and bounded.

    :param code: HTTP status code.
    :param headers: names in lower case; repeated headers joined by ``", "``.
    :param body: decoded bytes (after Content-Encoding); empty for a streamed answer, whose body the driver
        hands over.
    :param url: the URL asked, in full. Never put it into a message: use ``sent``.
    :param sent: method and URL for people, secrets removed, such as ``GET https://api.example.com/jobs/7``.
    :param excerpt: the first bytes of the body as text for people, secrets removed.
    :param elapsed: seconds from the start of the exchange, connecting included, to the last byte read.
    :param encoding: charset that the content type names; None when it names none.
    :param bare: why the request carried no credentials, and how to give it some, for people; empty when it
        carried some.
    """

    code: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    sent: str = ""
    excerpt: str = ""
    elapsed: float = 0.0
    encoding: str | None = None
    bare: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a job ended, as far as waiting for it tells.

    :param state: never ``running``.
    :param target: the download target: text, or a list of texts; ``[]`` where there are no data. Never None.
    :param raw_status: the API's own word; None when rules decided without one.
    :param message: the API's message, or ours; empty when there is none.
    :param progress: as the API gave it last; None when unknown.
    :param polls: good polls, as far as this process knows.
    :param waited: seconds from ``submitted_at`` to the end.
    :param expires_at: until when the result can be fetched, seconds since the epoch; None when the API does
        not say.
    :param captures: those of the submission and those of the status answers.
    :param sent: method and URL of the request whose answer decided, for people, secrets removed; empty when
        no answer did.
    :param log: the end of the job's own log, where it failed and the definition says where that is.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    state: State
    target: str | list[str]
    raw_status: Any = None
    message: str = ""
    progress: Any = None
    polls: int = 0
    waited: float = 0.0
    expires_at: float | None = None
    captures: Mapping[str, Any] = field(default_factory=dict)
    sent: str = ""
    log: str = ""

    @property
    def log_told(self) -> str:
        """What to add to a message: the end of the log with its heading; empty where there is none."""
        return f"\nThe end of the job's log:\n{self.log}" if self.log else ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: ``state`` and ``target``, and the others if they say something."""
        blank = Outcome(self.state, self.target)
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: value for name, value in told.items() if value != getattr(blank, name)}
        return {"state": self.state, "target": self.target, **plain}


@dataclass(frozen=True)
class Submission:
    """One accepted job.

    :param id: the API's ID, as text.
    :param submitted_at: seconds since the epoch at which the answer was read.
    :param captures: values kept because a later request needs them; JSON only.
    :param not_before: the submit's own Retry-After, seconds since the epoch: no poll before; None: it named
        none.
    :param no_data: the answer of the submit said that there is nothing to wait for (a rule ``then:
        no_data``); the ID may then be empty, and waiting for the job ends at once, without a request.
    :param outcome: how the job ended, where the answer of the submit said so (``status.from: submit``); None:
        it did not, or was not asked. Waiting for the job then ends at once, without a request.
    :param mark: fingerprint of the records that were sent with it; empty: none were. It tells later whether
        their source is still what it was.
    :param records: how many records those were.
    :param left_out: how many records of the source were not sent, since they cannot be mapped or are too
        large; None: not known.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    id: str
    submitted_at: float
    captures: Mapping[str, Any] = field(default_factory=dict)
    not_before: float | None = None
    no_data: bool = False
    outcome: Outcome | None = None
    mark: str = ""
    records: int = 0
    left_out: int | None = None

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Submission:
        """Return what :meth:`to_dict` wrote.

        :raises CheckpointError: it is something else.
        """
        try:
            told = dict(plain)
            if told.get("outcome") is not None:
                told["outcome"] = Outcome(**told["outcome"])
            return cls(**{**told, "id": str(told["id"]), "submitted_at": float(told["submitted_at"])})
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"This is no submission ({error!r}): {str(plain)[:200]}. Expected a mapping with id, "
                "submitted_at and captures, as the submit task returns it under the XCom key 'submission'."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: ``id``, ``submitted_at``, ``captures``, and the others if they say something."""
        plain: dict[str, Any] = {
            "id": self.id,
            "submitted_at": self.submitted_at,
            "captures": dict(self.captures),
        }
        if self.not_before is not None:
            plain["not_before"] = self.not_before
        if self.no_data:
            plain["no_data"] = True
        if self.outcome is not None:
            plain["outcome"] = self.outcome.to_dict()
        if self.mark:
            plain |= {"mark": self.mark, "records": self.records, "left_out": self.left_out}
        return plain


# Commands ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Resume:
    """Where a body that broke off goes on (RFC 9110, sections 13.1.5 and 14.2).

    :param at: the first byte that is wanted, from 0, as bytes come from the network (Content-Encoding not
        undone).
    :param validator: what the API said the body is: a strong ETag with its quotes, or a Last-Modified.
    """

    at: int
    validator: str


@dataclass(frozen=True)
class Store:
    """Keep this checkpoint (a JSON object, no secrets) before anything else happens. Answer: ``Stored``.

    :param refusals: to be written before the checkpoint, in place of what was written for the same part: a
        part that the checkpoint counts as acknowledged is not sent again. None: the definition reads none.
    """

    checkpoint: Mapping[str, Any]
    refusals: Refusals | None = None


@dataclass(frozen=True)
class Send:
    """Render and send this request. Answer: ``Responded`` or ``Failed``.

    :param names: the template names without ``connection``, which only the driver knows.
    :param where: the request's place in the definition, for messages, such as ``submit.request``.
    :param step: the step for people, such as ``upload 2 of 5``; empty: the section has one request.
    :param stream: read only the head of a good answer (2xx); ``Receive`` or something else follows. Of any
        other answer the bounded body is read as well.
    :param secret: where in the answer a download target lies that nobody may see (``result.secret``); None:
        there is none.
    :param resume: ask for the rest of a body only, if it is still the same; None: for all of it.
    """

    purpose: Purpose
    request: Request
    names: Mapping[str, Any]
    stream: bool = False
    where: str = "request"
    step: str = ""
    secret: Extractor | None = None
    resume: Resume | None = None


@dataclass(frozen=True)
class Wait:
    """Do nothing until this time, then answer ``Woken``.

    :param until: seconds since the epoch.
    :param reason: for people, such as ``next poll`` or ``Retry-After of the submit``.
    """

    until: float
    reason: str


@dataclass(frozen=True)
class Refresh:
    """Fetch the credentials anew (the connection may have changed). Answer: ``Refreshed``."""


@dataclass(frozen=True)
class Receive:
    """Hand the body of the open answer on, piece by piece. Answer: ``BodyEnded`` or ``BodyBroken``.

    :param again: pieces of an earlier try were handed on.
    :param goes_on: this body begins where the one before it broke off. Else it begins at its start, and what
        was handed on before is compared.
    """

    again: bool
    goes_on: bool = False


@dataclass(frozen=True)
class Finish:
    """Nothing more to do. Exactly one of the three is given.

    :param submission: the goal was to submit.
    :param outcome: the goal was the end of the job; its state may be ``failed``.
    :param error: the job could not be carried on; ``error.retryable`` says whether a later process may.
    """

    submission: Submission | None = None
    outcome: Outcome | None = None
    error: AsyncJobError | None = None


Command = Store | Plan | Send | Wait | Refresh | Receive | Finish

# Events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """The checkpoint is kept."""


@dataclass(frozen=True)
class Responded:
    """The API answered."""

    response: Response


@dataclass(frozen=True)
class Failed:
    """No usable answer.

    :param sent: method and URL for people, secrets removed.
    :param detail: what happened, for people, secrets removed.
    :param error: with ``Fault.REFUSED``, the error that says why, to end with; None: one is made from
        ``detail``.
    """

    fault: Fault
    sent: str
    detail: str
    error: AsyncJobError | None = None


@dataclass(frozen=True)
class Woken:
    """The wait is over, or was cut short on purpose (a webhook): both lead to a look."""


@dataclass(frozen=True)
class Refreshed:
    """Credentials were fetched.

    :param changed: whether they differ from the ones that were refused; if not, asking again is pointless.
    """

    changed: bool


@dataclass(frozen=True)
class BodyEnded:
    """The body was handed on to its last byte, and is as long as was announced.

    :param received: as of :class:`BodyBroken`.
    """

    received: int | None = None


@dataclass(frozen=True)
class BodyBroken:
    """The body stopped before its end.

    :param sent: method and URL for people, secrets removed.
    :param detail: what happened, with the bytes received and announced, for people.
    :param received: bytes of the body that came, from its first one on, as they came from the network, all of
        them handed on; None: they were damaged, or nobody counted.
    """

    sent: str
    detail: str
    received: int | None = None


Event = Stored | Planned | Responded | Failed | Woken | Refreshed | BodyEnded | BodyBroken
