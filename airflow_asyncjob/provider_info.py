"""What Airflow reads about this provider at every start: tiny, and it imports nothing."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

_NAME = "Asynchronous job APIs"


def _text(label: str, description: str, **schema: str) -> dict[str, Any]:
    """Return a field of the connection form."""
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _json(label: str, description: str) -> dict[str, Any]:
    return _text(label, description, format="multiline")


def _secret(label: str, description: str) -> dict[str, Any]:
    return _text(label, description, format="password")


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, in Airflow's own schema."""
    return {
        "package-name": "airflow-asyncjob",
        "name": _NAME,
        "description": "Submit, wait, download: asynchronous job APIs, done once and right.",
        "integrations": [{"integration-name": _NAME, "tags": ["protocol"]}],
        "operators": [
            {
                "integration-name": _NAME,
                "python-modules": [
                    "airflow_asyncjob.operators.submit",
                    "airflow_asyncjob.operators.plan",
                    "airflow_asyncjob.operators.download",
                ],
            }
        ],
        "sensors": [{"integration-name": _NAME, "python-modules": ["airflow_asyncjob.sensors.status"]}],
        "hooks": [{"integration-name": _NAME, "python-modules": ["airflow_asyncjob.hooks.asyncjob"]}],
        "triggers": [{"integration-name": _NAME, "python-modules": ["airflow_asyncjob.triggers.status"]}],
        "connection-types": [
            {
                "connection-type": "asyncjob",
                "hook-name": "Asynchronous job API",
                "hook-class-name": "airflow_asyncjob.hooks.asyncjob.AsyncJobHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {
                        "host": "Address",
                        "login": "Login (basic)",
                        "password": "Password, token or API key",
                    },
                    "placeholders": {"host": "https://api.example.com"},
                },
                "conn-fields": {
                    "auth_type": {
                        "label": "Authentication",
                        "description": "How credentials are sent. Empty: basic if there is a login.",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": [
                                "",
                                "none",
                                "basic",
                                "bearer",
                                "api_key",
                                "headers",
                                "aws_sigv4",
                                "oauth2",
                                "session",
                            ],
                        },
                    },
                    "auth_header": _text(
                        "API key: header", "Header that carries the key, such as X-Api-Key."
                    ),
                    "auth_query": _text(
                        "API key: query parameter",
                        "Query parameter that carries the key, instead of a header. With session a JSON "
                        "object of names and values.",
                    ),
                    "auth_prefix": _text(
                        "API key: prefix", "Text before the key in the header, such as 'Token '."
                    ),
                    "auth_headers": _json(
                        "Several headers",
                        'A JSON object of names and values, such as {"X-Key": "{{ connection.password }}"}.',
                    ),
                    "auth_service": _text("AWS: service", "As AWS signs it, such as athena or s3."),
                    "auth_region": _text("AWS: region", "Such as eu-central-1."),
                    "aws_session_token": _secret("AWS: session token", "Of temporary credentials."),
                    "auth_token_url": _text(
                        "OAuth 2: token endpoint", "A URL, or a path at the address above."
                    ),
                    "auth_grant": {
                        "label": "OAuth 2: grant",
                        "description": "Empty: client_credentials.",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": ["", "client_credentials", "refresh_token"],
                        },
                    },
                    "auth_scope": _text("OAuth 2: scope", "Scopes, with spaces between them."),
                    "auth_params": _json(
                        "OAuth 2: further fields", 'A JSON object, such as {"audience": "..."}.'
                    ),
                    "auth_client_auth": {
                        "label": "OAuth 2: client credentials in",
                        "description": "How login and password go to the token endpoint. Empty: basic.",
                        "schema": {"type": ["string", "null"], "enum": ["", "basic", "body"]},
                    },
                    "refresh_token": _secret("OAuth 2: refresh token", "With the grant refresh_token."),
                    "auth_login": _json(
                        "Session: login requests", "A JSON list of steps, as login in a definition."
                    ),
                    "webhook_secret": _secret(
                        "Webhooks: secret", "What the API signs its events with, or sends along."
                    ),
                    "webhook_public_key": _text(
                        "Webhooks: public key", "Of an API that signs its events with a private key (ECDSA)."
                    ),
                    "callback_base_url": _text(
                        "Webhooks: public address",
                        "Where the API reaches Airflow's API server, such as https://airflow.example.com. "
                        "Empty: [api] base_url.",
                    ),
                    "test_path": _text(
                        "Path of the connection test",
                        "GET on this path must answer 2xx. Empty: the address itself is asked, and any "
                        "answer but 401, 403 and 5xx counts as reachable.",
                    ),
                },
            }
        ],
        "extra-links": [
            "airflow_asyncjob.hooks.links.AsyncJobLink",
            "airflow_asyncjob.hooks.links.RemoteJobLink",
            "airflow_asyncjob.hooks.links.ResultLink",
        ],
    }
