"""Templates of an auth setting: they see the connection with its password, and are rendered here only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_asyncjob.definition.templates import inspect, is_template, render, text_of
from airflow_asyncjob.errors import ConnectionSetupError, DefinitionError
from airflow_asyncjob.transport.auth.base import name_of
from airflow_asyncjob.transport.redact import Redactor, is_sensitive_name
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["connection_names", "rendered", "secret_values"]


def connection_names(settings: ConnectionSettings) -> dict[str, Any]:
    """Return what templates of an auth setting see: ``connection``, with ``login`` and ``password``."""
    return {"connection": {**settings.view(), "password": settings.password or ""}}


def rendered(
    templates: Mapping[str, str], names: Mapping[str, Any], settings: ConnectionSettings, where: str
) -> dict[str, str]:
    """Return texts with their templates rendered; one that is empty then is a mistake of the connection.

    :param where: the field, for messages, such as ``auth.headers``.
    :raises ConnectionSetupError: a template cannot be rendered, or gives nothing.
    """
    found = {}
    for name, template in templates.items():
        place = f"{where}.{name}"
        try:
            value = text_of(render(template, names, where=place))
        except (DefinitionError, TypeError) as error:
            why = error.message if isinstance(error, DefinitionError) else f"{place}: {error}"
            raise ConnectionSetupError(f"{name_of(settings)}: {why}") from None
        if not value:
            raise ConnectionSetupError(
                f"{name_of(settings)}: {place} is empty, once {template!r} is rendered; fill that field "
                "of the connection"
            )
        found[name] = value
    return found


def secret_values(
    templates: Mapping[str, str], values: Mapping[str, str], settings: ConnectionSettings
) -> frozenset[str]:
    """Return those of the rendered values that are secrets.

    That is what stands under a name that says so, what holds a secret of the connection, and what a template
    makes of the password, or of anything with a filter: Base64 of a secret is one.
    """
    known = Redactor(settings.secrets())
    found: set[str] = set()
    for name, value in values.items():
        template = templates[name]
        made = is_template(template) and (
            "|" in template or ("connection", "password") in inspect(template).members
        )
        if made or is_sensitive_name(name) or known.holds_secret(value):
            found |= {value, value.rsplit(" ", 1)[-1]}
    return frozenset(found)
