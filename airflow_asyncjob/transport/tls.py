"""Certificates: one context for each way of checking them, made once in a process."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["ssl_context"]

# As requests, and with it the HTTP provider, and as httpx and OpenSSL; the first that is set counts.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context(settings: ConnectionSettings) -> ssl.SSLContext:
    """Return the TLS context of a connection.

    It is shared, as long as its files stay as they are: reading the public authorities takes 20 ms and a
    megabyte.

    :raises ConnectionSetupError: a file of ``verify`` or ``cert`` does not exist or cannot be read.
    """
    authorities = settings.verify
    if authorities is True and settings.trust_env:
        authorities = next((value for name in _CA_VARIABLES if (value := os.environ.get(name))), True)
    cert = (settings.cert,) if isinstance(settings.cert, str) else settings.cert or ()
    files = (authorities, *cert[:2]) if isinstance(authorities, str) else cert[:2]
    return _context(authorities, cert, tuple(_changed_at(file) for file in files))


def _changed_at(file: str) -> int:
    """Return when a file was written last, in nanoseconds; 0: there is none."""
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _context(authorities: bool | str, cert: tuple[str, ...], changed_at: tuple[int, ...]) -> ssl.SSLContext:
    if authorities is True:
        import certifi

        authorities = certifi.where()
    if authorities is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        path = Path(authorities)
        try:
            context = ssl.create_default_context(
                cafile=str(path) if path.is_file() else None, capath=str(path) if path.is_dir() else None
            )
            if not path.exists():
                raise FileNotFoundError
        except OSError as error:
            raise ConnectionSetupError(
                f"the CA file or folder {authorities} (verify in the connection's extra, or "
                f"{', '.join(_CA_VARIABLES)} in the environment) {_problem(error)}"
            ) from None
    if cert:
        _load_client_certificate(context, cert)
    return context


def _load_client_certificate(context: ssl.SSLContext, cert: tuple[str, ...]) -> None:
    certificate, key, passphrase = (*cert, None, None)[:3]
    try:
        # Without a passphrase OpenSSL would ask for one on the terminal.
        context.load_cert_chain(str(certificate), key, passphrase or (lambda: b""))
    except OSError as error:
        raise ConnectionSetupError(
            f"the client certificate {certificate} (cert in the connection's extra) {_problem(error)}"
        ) from None


def _problem(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist on this machine"
    if isinstance(error, ssl.SSLError):
        return f"cannot be used: {error.reason or 'not PEM, or a wrong passphrase'}"
    return f"cannot be read: {error.strerror or error}"
