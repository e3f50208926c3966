"""The sandbox that templates and expressions run in: strict, without attributes of Python, without endless
work.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from jinja2 import ChainableUndefined, StrictUndefined, Undefined, pass_context
from jinja2.environment import Environment
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import Markup

from airflow_asyncjob.definition.problems import kind_of

__all__ = ["EXPRESSION", "TEXT", "URL", "XML", "text_of"]

_LONGEST_RESULT = 1_000_000
_LARGEST_POWER = 64


class _Strict(StrictUndefined):
    """Using it is an error that says what was there instead."""

    @property
    def _undefined_message(self) -> str:
        message: str = super()._undefined_message
        if self._undefined_hint or self._undefined_name is None:
            return message
        if self._undefined_obj is missing:
            return f"{self._undefined_name!r} is not known here"
        return f"{self._undefined_name!r} is not defined; {_what_is_there(self._undefined_obj)}"


class _Lenient(ChainableUndefined):
    """An absent key of an answer: false, empty, not equal to or ordered with any value."""

    def _never(self, other: Any) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _never  # type: ignore[assignment]


def _what_is_there(holder: Any) -> str:
    if isinstance(holder, Mapping):
        keys = [str(key) for key in list(holder)[:20]]
        return f"there is: {', '.join(keys)}" if keys else "there is nothing"
    if isinstance(holder, (list, tuple)):
        return f"there is a list of {len(holder)}"
    return f"there is {kind_of(holder)}"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Data before methods: ``inputs.items`` is the key ``items`` where there is one."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, (str, bytes)):
            raise SecurityError("% does not format text here; use ~ to join texts")
        if operator == "*":
            for sized, count in ((left, right), (right, left)):
                if (
                    isinstance(sized, (str, list, tuple))
                    and isinstance(count, int)
                    and len(sized) * count > _LONGEST_RESULT
                ):
                    raise SecurityError(f"the result of {operator} is longer than {_LONGEST_RESULT}")
        if operator == "**" and (abs(right) > _LARGEST_POWER or abs(left) > 2**_LARGEST_POWER):
            raise SecurityError(f"a power of more than {_LARGEST_POWER} is refused")
        return super().call_binop(context, operator, left, right)


class _AnswerSandbox(_Sandbox):
    """Data and no methods: ``body.items`` is absent where there is no key ``items``."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute) if isinstance(obj, Mapping) else super().getattr(obj, attribute)


def text_of(value: Any) -> str:
    """Return a value as text inside other text: booleans as JSON writes them, times in ISO 8601.

    :raises TypeError: null, a list, a mapping or another object: there is no one way to write it.
    """
    if isinstance(value, Undefined):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if value is None:
        raise TypeError(
            "the value is null, which cannot stand inside text; use default('...', true) to say what to send"
        )
    if isinstance(value, (list, tuple, Mapping)):
        raise TypeError(
            f"the value is {kind_of(value)}, which cannot stand inside text; use join(',') or tojson"
        )
    raise TypeError(f"the value is {kind_of(value)}, which cannot stand inside text")


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text_of, allow_nan=False)


@pass_context  # constants too are left to the running template, which escapes after this and not before
def _xml_part(_: Context, value: Any) -> Any:
    return value if isinstance(value, Markup) else text_of(value)


@pass_context
def _url_part(_: Context, value: Any) -> Markup:
    if isinstance(value, Markup):
        return value
    text = text_of(value)
    if text in (".", ".."):
        raise ValueError(f"{text!r} cannot stand in a URL: it would lead to another address")
    return Markup(quote(text, safe=""))  # noqa: S704 - marks it as encoded; there is no HTML here


def _environment(
    kind: type[_Sandbox], undefined: type[Undefined], finalize: Callable[..., Any], *, escapes: bool = False
) -> Environment:
    env = kind(
        undefined=undefined, finalize=finalize, autoescape=escapes, keep_trailing_newline=True, cache_size=0
    )
    for name in ("lipsum", "cycler", "joiner"):
        del env.globals[name]
    del env.filters["random"]
    env.filters["tojson"] = _tojson
    return env


TEXT = _environment(_Sandbox, _Strict, text_of)
URL = _environment(_Sandbox, _Strict, _url_part, escapes=True)
XML = _environment(_Sandbox, _Strict, _xml_part, escapes=True)
EXPRESSION = _environment(_AnswerSandbox, _Lenient, text_of)
