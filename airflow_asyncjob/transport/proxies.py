"""Which proxy a request goes through."""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit

import httpx

from airflow_asyncjob.errors import ConnectionSetupError
from airflow_asyncjob.transport.settings import ConnectionSettings

__all__ = ["proxy_for"]


def proxy_for(url: httpx.URL, settings: ConnectionSettings) -> str | None:
    """Return the URL of the proxy, with its credentials; None: the request goes straight.

    The connection's proxies are looked up as requests does: ``https://host``, ``https``, ``all://host``,
    ``all``. Without one, the environment's ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``
    count when ``trust_env`` is true.

    :raises ConnectionSetupError: the proxy's URL is no http or https address.
    """
    proxies = settings.proxies
    if (
        not proxies
        and settings.trust_env
        and not urllib.request.proxy_bypass(f"{url.host}:{url.port or ''}".rstrip(":"))
    ):
        proxies = urllib.request.getproxies()
    keys = (f"{url.scheme}://{url.host}", url.scheme, f"all://{url.host}", "all")
    proxy = next((proxies[key] for key in keys if proxies.get(key)), None)
    if proxy is None:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConnectionSetupError(
            f"the proxy for {url.scheme}://{url.host} has the scheme {parts.scheme!r}; valid: http, https, "
            "such as http://proxy:3128"
        )
    return proxy
