"""The errors of this package, as one tree.

    AsyncJobError
    ├── DefinitionError      the definition, the inputs or the arguments are wrong; nothing was sent for it
    │   ├── InputError       an input is missing, unknown or of the wrong type
    │   └── TemplateError    a template cannot be rendered, or names something that does not exist
    ├── ConnectionSetupError the connection is missing, or cannot be used as it is
    ├── UploadError          a file that is to be sent is missing, cannot be read, or changes meanwhile
    │   ├── SourceError      ... is not what the upload reads as records
    │   ├── EmptySourceError ... has no records, or none that can be sent
    │   ├── SourceChangedError  ... is not what it was when the upload was planned
    │   ├── RecordError      ... has a record that cannot be mapped, or is too large
    │   └── UploadLimitError the limits of a part or of a job are too small for it
    ├── CheckpointError      stored state that this version does not understand
    ├── ExchangeError        one HTTP exchange went wrong
    │   ├── RefusedError     the API said no, and would say no again (4xx, bad credentials)
    │   ├── UncertainError   it is not known whether a submit was accepted
    │   ├── UnreadableError  an answer came, and is not what the definition reads (HTML, no match, empty)
    │   ├── LoginError       no token or session could be had: bad credentials, or no token endpoint
    │   ├── PollBudgetError  too many polls in a row failed; the job may be well
    │   └── UnreachableError no answer after every permitted try
    ├── UnknownStatusError   the API's status is not in the definition
    ├── JobError             the remote job ended without a result
    │   ├── JobFailedError   ... as failed
    │   ├── JobCancelledError... as cancelled
    │   ├── JobVanishedError ... it was there, and is not there any more
    │   └── JobTimeoutError  ... not before the deadline, or the API itself gave up on it
    └── ResultError          the result cannot be read or written
        ├── TruncatedError   fewer bytes came than were announced, or an archive ends early
        ├── FormatError      the bytes are not of the declared format
        ├── PagingError      its pages repeat, do not end, or are too large
        ├── RejectsError     the API refused more records than are tolerated
        │   ├── AllRejectedError      ... all of them
        │   └── UnknownRejectsError   ... and names records that nobody sent
        ├── RejectsUnavailableError   which records the API refused cannot be fetched or written
        └── DestinationError the destination cannot be written
            └── DestinationUnreachableError   its storage did not answer, or broke off

``retryable`` says whether the same call can succeed later without anybody changing anything. The Airflow
layer turns ``retryable = False`` into ``AirflowFailException``, so that nothing is repeated that cannot
succeed.
"""

from __future__ import annotations

__all__ = [
    "AllRejectedError",
    "AsyncJobError",
    "CheckpointError",
    "ConnectionSetupError",
    "DefinitionError",
    "DestinationError",
    "DestinationUnreachableError",
    "EmptySourceError",
    "ExchangeError",
    "FormatError",
    "InputError",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobTimeoutError",
    "JobVanishedError",
    "LoginError",
    "PagingError",
    "PollBudgetError",
    "RecordError",
    "RefusedError",
    "RejectsError",
    "RejectsUnavailableError",
    "ResultError",
    "SourceChangedError",
    "SourceError",
    "TemplateError",
    "TruncatedError",
    "UncertainError",
    "UnknownRejectsError",
    "UnknownStatusError",
    "UnreachableError",
    "UnreadableError",
    "UploadError",
    "UploadLimitError",
]


class AsyncJobError(Exception):
    """Anything that this package raises on purpose.

    :param message: what happened: what was sent, what came back, what was expected, what to do.
    """

    retryable: bool = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DefinitionError(AsyncJobError, ValueError):
    """The definition or the arguments are wrong. Nothing was sent because of it.

    When: A definition file, an argument of an operator or an option of the command line says something
    impossible. Mostly when the DAG is parsed (an import error in the UI), else before the request that
    needs it.

    Do: Correct what the message names: it has the place, the value and the valid values; all mistakes are
    shown at once. ``asyncjob validate FILE`` shows the same.
    """


class InputError(DefinitionError):
    """An input is missing, unknown, or of the wrong type.

    When: An input is not given and has no default, is not declared, or is not of its type. Names and
    fixed values are checked when the DAG is parsed, templates when the task runs.

    Do: Correct ``inputs``, or ``--set`` on the command line; the message lists the declared inputs.
    """


class TemplateError(DefinitionError):
    """A template cannot be rendered, or names something that does not exist.

    When: A template of a request has wrong syntax, uses a name that is not known in its place, or an
    undefined value, such as ``ds`` in a run without a logical date.

    Do: Correct the template; pass what comes from Airflow (XCom, variables, macros) through ``inputs``.
    """


class ConnectionSetupError(AsyncJobError):
    """The connection is missing, or cannot be used as it is.

    When: The Airflow connection does not exist, has no host where one is needed, or a field of it cannot
    be used; on the command line ``ASYNCJOB_CONN`` or ``--base-url``.

    Do: Create or correct the connection (how-to: Connections), then clear the task.
    """


class UploadError(AsyncJobError):
    """A file that is to be sent is missing, cannot be read, or changed while it was sent.

    When: A request of the submit has ``file``, or a ``multipart`` field with one; before it is sent, or while
    it is.

    Do: Give the path of a file that the worker can read, and let it be written whole before the task runs.

    :param retryable: whether the same call can succeed later: a storage answers again, a file is whole.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class SourceError(UploadError):
    """The source of an upload is not what the definition reads as records.

    When: A suffix that is not known, a ragged row, a wrong encoding, a document that breaks off, or a column
    that ``fields`` names and the file lacks. Nothing was sent: an upload is read once before.

    Do: Correct the file, or say under ``submit.upload.read`` how it is written; then clear the submit task.
    """


class EmptySourceError(UploadError):
    """The source of an upload has no records, or none that can be sent.

    When: The list or the file is empty, or each record was refused here: not mapped, or too large. Nothing
    was sent.

    Do: Look at the task that made it. Skip the job where there is nothing to send (a branch or a short
    circuit before it); correct ``submit.upload`` where the message says why no record can be sent.
    """


class SourceChangedError(UploadError):
    """The source of an upload is not what it was when the upload was planned.

    When: A part that is read again for sending, or the whole source of a task that carries on, has other
    records than before. What was acknowledged before is at the API.

    Do: Let the file be written whole before the task runs, and write a new one rather than the same again.
    Then clear the submit task: it begins with the first step.
    """


class RecordError(UploadError):
    """A record of an upload cannot be mapped, or is too large for a part.

    When: ``on_invalid: fail``, and a required field is missing, a value is not of its type, or the record
    alone is over ``part_bytes``. Nothing was sent.

    Do: Correct the record, which the message names by its key and its number; or set ``on_invalid: reject``,
    so that it is left out and written to the rejects.
    """


class UploadLimitError(UploadError):
    """The limits of a part or of a job are too small for the upload.

    When: ``part_bytes`` is smaller than the envelope, or the source has more than one job takes
    (``job_bytes``, ``job_records``). Nothing was sent.

    Do: Raise the limit as far as the API allows; plan several jobs with ``UploadPlanOperator``, one mapped
    ``async_job`` for each piece.
    """


class CheckpointError(AsyncJobError):
    """Stored state that this version of the package does not understand.

    When: The task state store, or a trigger, holds a record that another version of this package wrote.

    Do: Let that version finish the job. Or delete the key ``asyncjob.submit`` or ``asyncjob.wait`` of the
    task instance and clear the task: look at the API first, since a job may be running there.
    """


class ExchangeError(AsyncJobError):
    """One HTTP exchange went wrong.

    When: The parent of the errors below: it is not raised itself.

    Do: See the class that was raised.
    """

    retryable = True


class RefusedError(ExchangeError):
    """The API said no, and would say no again: a 4xx, or bad credentials.

    When: A code of 4xx that another try does not change (400, 401, 403, 404, 405, 409, 422), a rule
    ``then: fail``, a redirect that is not followed, or a request that must not be sent (a forbidden
    address, a secret to another origin).

    Do: Read what the API answered, which is in the message. Correct the request, the inputs, or the
    credentials and rights of the connection; then clear the task.
    """

    retryable = False


class UncertainError(ExchangeError):
    """It is not known whether a submit was accepted.

    When: The connection broke after the request had left, or a server answered 5xx, and the API has no
    idempotency key.

    Do: With ``on_uncertain: resubmit`` the retry of the task submits again. With ``fail``: look at the
    API for the job (``asyncjob jobs``); clear the submit task where there is none. Better: give the
    request an idempotency key.

    :param may_resubmit: whether a retry of the task submits again (``on_uncertain: resubmit``).
    """

    def __init__(self, message: str, *, may_resubmit: bool = True) -> None:
        super().__init__(message)
        self.may_resubmit = may_resubmit
        self.retryable = may_resubmit


class UnreadableError(ExchangeError):
    """An answer came, and it is not what the definition reads: HTML, no match, an empty body.

    When: HTML, broken JSON or XML, an empty body, no value where the definition reads one, more than one,
    or a body of more than ``limits.response_bytes``.

    Do: Compare the excerpt in the message with the path that it names; correct the path, or
    ``request.response``. Of a submit: a job may run at the API.

    :param job_ended: whether the answer said all the same that the job has ended.
    """

    retryable = False

    def __init__(self, message: str, *, job_ended: bool = False) -> None:
        super().__init__(message)
        self.job_ended = job_ended


class LoginError(ExchangeError):
    """No token or session could be had: the credentials are refused, or the answer is not one of a login.

    When: A token endpoint (auth of type oauth2) or a login request (type session) answered with a code of
    3xx or 4xx, with an error, or with nothing that a request could carry. The request itself was not sent.
    An endpoint that does not answer, or answers 5xx, 429 or HTML, is tried again like the request.

    Do: Correct what the message names: the login or the password of the connection, or a field of auth;
    a refresh token that is dead wants a new authorisation. Then clear the task.
    """

    retryable = False


class PollBudgetError(ExchangeError):
    """Too many polls in a row failed. The remote job may be well: a retry attaches to it.

    When: More polls in a row failed (no connection, 5xx, 429, an answer that cannot be read) than
    ``status.poll_error_budget`` allows.

    Do: Nothing, when the task has retries: the next one attaches to the same job. Else clear the waiting
    task once the API is well.
    """


class UnreachableError(ExchangeError):
    """No usable answer after every permitted try.

    When: No connection, or 5xx and 429 up to the last try that ``limits.retries`` allows; nothing was
    accepted.

    Do: Nothing, when the task has retries. Else look whether the API is well and the connection's address
    is right.
    """


class UnknownStatusError(AsyncJobError):
    """The API's status is not in the definition.

    When: The API said a status that is in none of ``status.values``, and no rule was true (with
    ``unknown: running``: so often in a row).

    Do: Add the word, which is in the message, to ``status.values``, then clear the waiting task: it
    attaches to the same job.
    """


class JobError(AsyncJobError):
    """The remote job ended without a result. The same job cannot get better.

    When: The parent of the four errors below: it is not raised itself.

    Do: See the class that was raised.
    """


class JobFailedError(JobError):
    """The remote job failed.

    When: The status is a word of ``failed``, or a rule said ``state: failed``.

    Do: Read the API's message; correct the inputs, and clear the submit task for a new job.
    ``job_retries`` submits a failed job again by itself.
    """


class JobCancelledError(JobError):
    """The remote job was cancelled.

    When: The status is a word of ``cancelled``: somebody stopped it there, or its own rules did.

    Do: Clear the submit task, if the job is still wanted.
    """


class JobVanishedError(JobError):
    """The remote job answered before, and is now unknown to the API.

    When: A poll was answered 404 after a good one, or 410.

    Do: Look at the API for why it forgets jobs (a retention that is shorter than the wait?); clear the
    submit task for a new one.
    """


class JobTimeoutError(JobError):
    """The job did not end before the deadline, or the API itself gave up on it.

    When: ``status.timeout`` was over (``cancel`` was sent, where there is one), the job was queued for
    longer than ``status.queue_timeout``, or the API said a word of ``timed_out``.

    Do: Give it more time, or find out at the API why it is slow; clear the submit task for a new job.
    """


class ResultError(AsyncJobError):
    """The result cannot be read or written.

    When: The result cannot be read or written, in a way that no class below names, such as a limit on its
    size.

    Do: As the message says; then clear the fetch task: the job itself is done.
    """


class TruncatedError(ResultError):
    """Fewer bytes came than were announced, or an archive ends early.

    When: The connection broke in the body, fewer bytes came than ``Content-Length`` announced, or a
    compressed file ends early; up to the last try that ``limits.retries`` allows.

    Do: Nothing, when the task has retries: it downloads again from the start. Nothing half-written is
    left.
    """

    retryable = True


class FormatError(ResultError):
    """The bytes are not of the declared format.

    When: The bytes are not what ``result.format`` says: HTML instead of CSV, a ragged row, a wrong
    encoding, a value that is not of its type.

    Do: Correct the section ``result`` (the message has the line or the record), then clear the fetch
    task.
    """


class PagingError(ResultError):
    """The pages of the result repeat, do not end, or are too large.

    When: A page came twice, the pages go round in a circle, there are more than ``limits.pages``, one is too
    large, or one that the page before named is not there.

    Do: Correct ``paginate``, or raise the limit; then clear the fetch task.
    """


class RejectsError(ResultError):
    """The API refused more records than are tolerated.

    When: Records were refused, ``result.on_rejects`` is fail, and they are more than ``result.tolerated``.
    What could be fetched, and the rejects with the API's reasons, is written.

    Do: Read the rejects in the file that the message names; correct those records, and send them again. Or
    raise ``result.tolerated``.
    """


class AllRejectedError(RejectsError):
    """The API refused every record.

    When: As RejectsError, and not one record was accepted; no ``result.tolerated`` allows that.

    Do: Read the reasons in the file that the message names: mostly a field is named or written in another
    way than the API has it.
    """


class UnknownRejectsError(RejectsError):
    """The API refused records that nobody sent.

    When: As RejectsError, and a refused record names none that the job was given, by its key or its number.

    Do: Correct ``key``, ``index`` or ``index_base`` of ``rejects``: the file that the message names has the
    API's own words under ``answer``.
    """


class RejectsUnavailableError(ResultError):
    """Which records the API refused cannot be fetched, or not be written. The result itself is written.

    When: The request of ``result.rejects`` is refused or not answered, its answer cannot be read, or the file
    beside the destination cannot be written.

    Do: As the message says; then clear the fetch task: it fetches both again.

    :param retryable: whether the same call can succeed later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class DestinationError(ResultError):
    """The destination cannot be written.

    When: No permission, no such bucket, a disk that is full, a name that cannot be used, a package that
    is missing for this kind of storage.

    Do: Correct the destination or its rights, then clear the fetch task. What was there before is still
    there.
    """


class DestinationUnreachableError(DestinationError):
    """The storage of the destination did not answer, or broke off. Another try may succeed.

    When: The object store did not answer, or broke off.

    Do: Nothing, when the task has retries.
    """

    retryable = True
