"""Templates and expressions: one strict, sandboxed Jinja environment for every place that renders.

A text that is exactly one ``{{ expression }}`` keeps the type of its value. Text around an expression takes
text, numbers, booleans (as JSON writes them) and times; null, lists and mappings are refused there, since
what Python would print is never what an API wants. An undefined value is an error that names the field.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from jinja2 import Template, Undefined, UndefinedError, meta, nodes
from jinja2.environment import Environment, TemplateExpression
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.parser import Parser

from airflow_asyncjob.definition.problems import did_you_mean, kind_of, shown
from airflow_asyncjob.definition.sandbox import EXPRESSION, TEXT, URL, XML, text_of
from airflow_asyncjob.errors import TemplateError, UnreadableError

__all__ = [
    "EXPR_NAMES",
    "REQUEST_NAMES",
    "RUN_NAMES",
    "Inspection",
    "evaluate",
    "inspect",
    "is_template",
    "render",
    "render_url",
    "render_xml",
    "text_of",
    "texts_in",
    "whole_name",
]

RUN_NAMES: tuple[str, ...] = (
    "ds",
    "ts",
    "run_id",
    "dag_id",
    "task_id",
    "map_index",
    "logical_date",
    "data_interval_start",
    "data_interval_end",
)
"""Frozen scalars of an Airflow run."""

REQUEST_NAMES: tuple[str, ...] = (
    "inputs",
    "submission_id",
    "captures",
    "download_target",
    "idempotency_key",
    "callback_url",
    "part",
    "parts",
    "upload",
    "item",
    "page",
    "offset",
    "next",
    "connection",
    "request_id",
    *RUN_NAMES,
)
"""Every name that a template of a request may use; not each is known in each place."""

EXPR_NAMES: tuple[str, ...] = ("code", "headers", "body", "captures", "url")
"""Every name that an expression over an answer may use."""

_TEMPLATE_MARKS = ("{{", "{%", "{#")
_WHOLE_NAME = re.compile(r"\s*\{\{-?\s*([A-Za-z_]\w*)\s*-?\}\}\s*")


def is_template(text: str) -> bool:
    """Return whether anything in this text is rendered."""
    return any(mark in text for mark in _TEMPLATE_MARKS)


def whole_name(text: str) -> str | None:
    """Return the name of a text that is exactly one, such as ``{{ records }}``; None for other texts."""
    match = _WHOLE_NAME.fullmatch(text)
    return match and match[1]


# Looking without rendering ------------------------------------------------------------------------


@dataclass(frozen=True)
class Inspection:
    """What a template or expression uses.

    :param names: top-level names.
    :param members: ``(name, member)`` for each fixed member read of a top-level name, as in
        ``captures.token``.
    :param whole: top-level names that are also used as a whole, as in ``{{ inputs }}``.
    """

    names: frozenset[str]
    members: frozenset[tuple[str, str]]


@functools.lru_cache(maxsize=2048)
def inspect(text: str, *, expression: bool = False) -> Inspection:
    """Return what a template (or, with ``expression``, a bare expression) uses.

    :raises TemplateError: its syntax is wrong, or it uses a filter, test or statement that does not exist
        here. The message does not name the field.
    """
    try:
        tree = _parsed_expression(text) if expression else TEXT.parse(text)
        _refuse_strangers(tree)
        names = frozenset(meta.find_undeclared_variables(tree))
        if "{%" in text:
            TEXT.compile(tree)
    except TemplateSyntaxError as error:
        raise TemplateError(f"{shown(text)} is not a valid template: {error.message}") from None
    except RecursionError:
        raise TemplateError(f"{shown(text)} is nested too deeply") from None
    members = {found for node in tree.find_all(nodes.Expr) if (found := _member(node)) and found[0] in names}
    called = {_member(node.node) for node in tree.find_all(nodes.Call) if _is_method(node.node)}
    return Inspection(names, frozenset(members - called))


def _member(node: nodes.Expr) -> tuple[str, str] | None:
    """Return name and member of ``captures.token``, ``captures['token']`` and ``captures.get('token')``."""
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return node.node.name, node.attr
    key: nodes.Expr | None = None
    holder: nodes.Expr | None = None
    if isinstance(node, nodes.Getitem):
        holder, key = node.node, node.arg
    elif isinstance(node, nodes.Call) and _is_method(node.node) and node.node.attr == "get" and node.args:
        holder, key = node.node.node, node.args[0]
    if isinstance(holder, nodes.Name) and isinstance(key, nodes.Const) and isinstance(key.value, str):
        return holder.name, key.value
    return None


def _is_method(node: nodes.Expr) -> TypeGuard[nodes.Getattr]:
    return isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and hasattr(dict, node.attr)


def _parsed_expression(text: str) -> nodes.Template:
    if is_template(text):
        raise TemplateError(f"{shown(text)} is an expression, not a template: write it without {{{{ }}}}")
    try:
        parser = Parser(EXPRESSION, text, state="variable")
        found = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError(f"unexpected {parser.stream.current.value!r} after the expression", 1)
    except TemplateSyntaxError as error:
        raise TemplateError(f"{shown(text)} is not a valid expression: {error.message}") from None
    found.set_environment(EXPRESSION)
    tree = nodes.Template([nodes.Output([found], lineno=1)], lineno=1)
    tree.set_environment(EXPRESSION)
    return tree


def _refuse_strangers(tree: nodes.Template) -> None:
    for kind, known in ((nodes.Filter, TEXT.filters), (nodes.Test, TEXT.tests)):
        for node in tree.find_all(kind):
            if node.name not in known:
                word = kind.__name__.lower()
                raise TemplateError(
                    f"there is no {word} {node.name!r}; {did_you_mean(node.name, sorted(known))}"
                )
    for other in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise TemplateError(f"{type(other).__name__.lower()} is not available: a template stands alone")


# Rendering ----------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _compiled_expression(text: str) -> TemplateExpression:
    tree = _parsed_expression(text)
    output = tree.body[0]
    assert isinstance(output, nodes.Output)
    return _as_expression(EXPRESSION, output.nodes[0])


@functools.lru_cache(maxsize=1024)
def _compiled_value(text: str) -> TemplateExpression | None:
    """Return the expression of a text that is exactly one; None for other texts."""
    tree = TEXT.parse(text)
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    if len(parts) != 1 or isinstance(parts[0], nodes.TemplateData):
        return None
    return _as_expression(TEXT, parts[0])


def _as_expression(env: Environment, node: nodes.Expr) -> TemplateExpression:
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), node, lineno=1)]
    return TemplateExpression(env.from_string(nodes.Template(body, lineno=1)), undefined_to_none=False)


@functools.lru_cache(maxsize=1024)
def _compiled_text(env: Environment, text: str) -> Template:
    return env.from_string(text)


def render(value: Any, names: Mapping[str, Any], *, where: str) -> Any:
    """Return a value with every text in it (also the keys of mappings) rendered.

    :param value: text, or lists and mappings of texts; anything else is returned as it is.
    :param names: the names that templates see.
    :param where: the field, for messages, such as ``submit.request.json``.
    :raises TemplateError: an undefined value, a value that cannot stand where it is used, wrong syntax.
    """
    if isinstance(value, str):
        return _render_text(TEXT, value, names, where)
    if isinstance(value, Mapping):
        return {
            _key(render(key, names, where=where), where): render(item, names, where=f"{where}.{key}")
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [render(item, names, where=f"{where}[{position}]") for position, item in enumerate(value)]
    return value


def _key(key: Any, where: str) -> Any:
    try:
        return text_of(key)
    except TypeError as error:
        raise TemplateError(f"{where}: a key is text, and {error}") from None


def render_url(text: str, names: Mapping[str, Any], *, where: str) -> str:
    """Return a URL with each value percent-encoded, or the value as it is where the whole text is one
    expression.

    A value marked with ``| safe`` is put in as it is too, for a path that the API itself gave.

    :raises TemplateError: as :func:`render`; also when the value of a whole-URL expression is not text.
    """
    value = _render_text(URL, text, names, where)
    if not isinstance(value, str):
        raise TemplateError(f"{where}: {shown(text)} gave {kind_of(value)}, and a URL is text")
    return value


def render_xml(text: str, names: Mapping[str, Any], *, where: str) -> Any:
    """Return XML text with each value escaped, or the value as it is where the whole text is one expression.

    A value marked with ``| safe`` is put in as it is: it is XML already.

    :raises TemplateError: as :func:`render`.
    """
    return _render_text(XML, text, names, where)


def _render_text(env: Environment, text: str, names: Mapping[str, Any], where: str) -> Any:
    if not is_template(text):
        return text
    with_names = dict(names)
    try:
        whole = _compiled_value(text)
        value = whole(**with_names) if whole else _compiled_text(env, text).render(with_names)
        if isinstance(value, Undefined):
            str(value)
        if callable(value):
            raise TypeError("the value is a function; call it, or name a key that is there")
    except TemplateError as error:
        raise TemplateError(f"{where}: {error.message}") from None
    except Exception as error:  # whatever an expression raises is a fault of the expression
        raise TemplateError(f"{where}: {shown(text)}: {_said(error)}") from None
    return str.__str__(value) if isinstance(value, str) else value


def _said(error: Exception) -> str:
    if isinstance(error, UndefinedError):
        return str(error.message)
    return (
        str(error)
        if isinstance(error, (SecurityError, TypeError, ValueError))
        else f"{type(error).__name__}: {error}"
    )


def evaluate(expr: str, names: Mapping[str, Any], *, where: str) -> Any:
    """Return the value of an expression over an answer; None where it is absent.

    An absent key is false, empty, ``is not defined``, and its members are absent too; it is neither equal to
    nor ordered with anything. Names of methods, such as ``body.items``, are keys like others. What filters
    such as ``map`` and ``select`` give is a list, and so false when it is empty.

    :param names: values for :data:`EXPR_NAMES`.
    :raises UnreadableError: the answer has values that the expression cannot work with, such as text in a
        sum.
    :raises TemplateError: the syntax is wrong; never for a definition that was loaded.
    """
    try:
        value = _compiled_expression(expr)(**dict(names))
        if isinstance(value, (Iterator, range)):  # map, select and the like: lazy, and true when empty
            value = [None if isinstance(item, Undefined) else item for item in value]
    except TemplateError as error:
        raise TemplateError(f"{where}: {error.message}") from None
    except Exception as error:  # the answer does not fit the expression, however that shows
        raise UnreadableError(
            f"{where}: {shown(expr)} does not work on this answer: {_said(error)}"
        ) from None
    return None if isinstance(value, Undefined) else value


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value, keys of mappings included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts_in(key)
            yield from texts_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)
