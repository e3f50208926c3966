"""OAuth 2 (RFC 6749): client credentials (4.4) and refresh token (6). oauthlib writes and reads the messages.

A token is fetched anew before it expires, and once when the API refuses it. A refresh token that the token
endpoint replaced is kept before the new token is used, as the old one may be dead by then.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any
from urllib.parse import quote_plus

from airflow_asyncjob.definition.models.auth import Auth
from airflow_asyncjob.definition.models.request import Request
from airflow_asyncjob.errors import ConnectionSetupError, LoginError
from airflow_asyncjob.protocol.answers import said, transient
from airflow_asyncjob.protocol.messages import Purpose, Responded, Response, Send
from airflow_asyncjob.transport.auth.base import Credentials, name_of, need_password
from airflow_asyncjob.transport.auth.login import (
    Course,
    Grant,
    Keep,
    Login,
    NotNowError,
    Recall,
    not_now,
)
from airflow_asyncjob.transport.auth.templates import connection_names, rendered
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["build"]

_FORM = "application/x-www-form-urlencoded"
_LEEWAY = 60.0
"""Seconds before its end at which a token is fetched anew; a fifth of its life where that is shorter."""


class _OAuth2(Login):
    headers = names = ("Authorization",)

    def __init__(self, auth: Auth, settings: ConnectionSettings, refresh_token: str) -> None:
        super().__init__(auth, settings)
        self._given = refresh_token
        names = connection_names(settings)
        templates = {"token_url": auth.token_url or "", **({"scope": auth.scope} if auth.scope else {})}
        fields = rendered(templates, names, settings, "auth")
        self._url = fields.pop("token_url")
        self._fields = {**rendered(auth.params, names, settings, "auth.params"), **fields}

    def course(self) -> Course:
        """Ask the token endpoint."""
        if not self._given:
            response = yield self._request()
            return self._grant(response, self._token(response))
        name = _kept_name(self.settings)
        token = self._newest((yield Recall(name)))
        response = yield self._request(token)
        if _error_of(response) == "invalid_grant":
            # Another process may have refreshed in between, and kept what it got.
            newer = self._newest((yield Recall(name)))
            if newer != token:
                token = newer
                response = yield self._request(token)
        answer = self._token(response)
        rotated = answer.get("refresh_token")
        if isinstance(rotated, str) and rotated and rotated != token:
            self.held.kept = json.dumps({"for": _digest(self._given), "refresh_token": rotated})
            yield Keep(name, self.held.kept)
        return self._grant(response, answer)

    def _newest(self, kept: str | None) -> str:
        """Return the refresh token to use: one that was kept for the one in the connection, or that one."""
        for text in (kept, self.held.kept):
            try:
                plain = json.loads(text or "null")
            except ValueError:
                continue
            if isinstance(plain, dict) and plain.get("for") == _digest(self._given):
                return str(plain["refresh_token"])
        return self._given

    def _request(self, refresh_token: str | None = None) -> Send:
        from oauthlib.oauth2.rfc6749.parameters import prepare_token_request

        auth, login, secret = self.auth, self.settings.login or "", self.settings.password
        basic = auth.client_auth == "basic" and secret is not None
        fields: dict[str, Any] = dict(self._fields)
        if refresh_token is not None:
            fields["refresh_token"] = refresh_token
        if secret is not None and not basic:
            fields["client_secret"] = secret
        grant = "client_credentials" if refresh_token is None else "refresh_token"
        body = prepare_token_request(grant, include_client_id=not basic, client_id=login, **fields)
        headers = {"Accept": "application/json", "Content-Type": _FORM}
        names = {"token_request": {"body": body, "basic": ""}}
        if basic:
            pair = f"{quote_plus(login)}:{quote_plus(secret or '')}"  # RFC 6749, 2.3.1
            names["token_request"]["basic"] = base64.b64encode(pair.encode()).decode()
            headers["Authorization"] = "Basic {{ token_request.basic }}"
        request = Request(
            method="POST", url=self._url, headers=headers, text="{{ token_request.body }}", auth="none"
        )
        return Send(Purpose.AUTH, request, names, where="auth")

    def _token(self, response: Response) -> dict[str, Any]:
        """Return the fields of the answer.

        :raises LoginError: the endpoint says no, or gives no token.
        :raises NotNowError: it does not answer as a token endpoint does.
        """
        from oauthlib.oauth2 import OAuth2Error
        from oauthlib.oauth2.rfc6749.parameters import parse_token_response

        if transient(response.code):
            raise not_now(response)
        text = response.body.decode("utf-8", "replace")
        plain = _plain(text)
        if response.code >= 300 or (plain is not None and "error" in plain):
            raise self._refused(response)
        if plain is None and "access_token=" not in text:
            raise NotNowError(
                response.sent,
                f"answered {response.code}, and not with a token: {response.excerpt!r}; expected a "
                "JSON object with access_token; look whether auth.token_url is right",
            )
        try:
            # oauthlib takes a life of 0 seconds for none, and fails on one that is no number.
            life = (plain or {}).get("expires_in")
            read = text if plain is None else json.dumps({**plain, "expires_in": _seconds(life)})
            answer = {**parse_token_response(read), "expires_in": life}
            if not isinstance(answer["access_token"], str):
                raise TypeError
            return answer
        except (OAuth2Error, TypeError, ValueError, AttributeError):
            keys = ", ".join(map(str, plain or {})) or "none"
            lacking = " that is text" if plain is not None and "access_token" in plain else ""
            raise LoginError(
                f"The token endpoint gave no token: {response.sent} answered {response.code}, and "
                f"there is no access_token in it{lacking}; its fields are: {keys}. Correct auth.token_url, "
                "auth.scope or auth.params"
            ) from None

    def _refused(self, response: Response) -> LoginError:
        error, name = _error_of(response), name_of(self.settings)
        advice = {
            "invalid_client": "Correct login (the client ID) and password (the client secret) of "
            f"{name}, or auth.client_auth (basic or body)",
            "invalid_grant": f"Authorise again, and put the new refresh_token into the extra of {name}",
            "invalid_scope": "Correct auth.scope",
        }.get(error, f"Correct auth.token_url, auth.params or the credentials of {name}")
        word = f" ({error})" if error else ""
        came = said(Responded(response))
        return LoginError(f"The token endpoint refuses to give a token{word}: {came}. {advice}.")

    def _grant(self, response: Response, answer: dict[str, Any]) -> Grant:
        token, kind = str(answer["access_token"]), str(answer.get("token_type") or "Bearer")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise LoginError(
                f"The token endpoint gave what no header can hold: {response.sent} answered "
                f"{response.code} with an access_token that has a space, a line break or a character "
                "outside ASCII"
            )
        lifetime = _seconds(answer["expires_in"])
        renew_at = None if lifetime is None else time.time() + lifetime - min(_LEEWAY, lifetime / 5)
        word = "Bearer" if kind.lower() == "bearer" else kind
        secrets = {token, str(answer.get("refresh_token") or "")}
        return Grant({"Authorization": f"{word} {token}"}, secrets=frozenset(secrets), renew_at=renew_at)


def _plain(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _seconds(value: Any) -> float | None:
    """Return a time in seconds, which some endpoints write as text; None: it is none."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _error_of(response: Response) -> str:
    """Return the error code of a token endpoint (RFC 6749, 5.2); empty when it names none."""
    plain = _plain(response.body.decode("utf-8", "replace"))
    return str(plain["error"]) if plain is not None and isinstance(plain.get("error"), str) else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept_name(settings: ConnectionSettings) -> str:
    """Return the name under which the refresh token of a connection is kept; it says that this is a "
    "secret."""
    return f"asyncjob_refresh_token_{settings.conn_id or _digest(settings.base_url)}"


def build(auth: Auth, settings: ConnectionSettings) -> Credentials | None:
    """Return what fetches tokens with the login (client ID) and the password (client secret).

    :raises ConnectionSetupError: a part is missing.
    """
    if not settings.login:
        raise ConnectionSetupError(
            f"auth oauth2 needs the client ID as the login, and {name_of(settings)} has none"
        )
    if auth.grant == "client_credentials":
        need_password(settings, "oauth2", "the client secret")
        return _OAuth2(auth, settings, "")
    token = settings.extra.get("refresh_token")
    if not isinstance(token, str):
        raise ConnectionSetupError(
            f"auth oauth2 with grant refresh_token needs refresh_token in the extra of {name_of(settings)}"
        )
    return _OAuth2(auth, settings, token)
