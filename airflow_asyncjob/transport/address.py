"""URLs: joining, parameters, origins, and addresses that only an own network should answer."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import quote, urlencode, urljoin

import httpx

__all__ = [
    "BadUrlError",
    "Origin",
    "follow_link",
    "is_link_local",
    "is_private",
    "is_s3",
    "join_url",
    "origin_of",
    "parse_url",
    "s3_url",
    "with_params",
]

Origin = tuple[str, str, int]
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
# Of labels with 1 to 63 characters (RFC 1035 2.3.4); underscores are usual inside companies and containers.
_HOST_NAME = re.compile(r"(?:[A-Za-z0-9_\-]{1,63}\.)*[A-Za-z0-9_\-]{1,63}\.?")
_PORTS = {"http": 80, "https": 443}
_S3_URI = re.compile(r"s3://([^/]*)/?(.*)", re.IGNORECASE | re.DOTALL)
# Before 2018 a bucket could also have upper case and underscores.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{1,253}[A-Za-z0-9]")
_AMAZON = re.compile(r"(?:[^.]+\.)*?(?:([a-z]{2,}(?:-[a-z]+)+-\d)\.)?(amazonaws\.com(?:\.cn)?)")


class BadUrlError(ValueError):
    """A URL that is never asked; its text says why, and holds no part of a user name or a query."""


def join_url(base_url: str, url: str) -> str:
    """Return the URL to ask.

    An absolute URL stays. Anything else is put behind the base, as the HTTP provider does, so that the base
    may hold a path: ``https://h/api/v1`` and ``/jobs`` or ``jobs`` give ``https://h/api/v1/jobs``. Other than
    the provider, a slash on both sides becomes one, and a URL that begins with the base's whole path, as an
    API gives it in a ``Location`` or a target (``/api/v1/jobs/7``), does not get that path twice. An empty
    URL is the base itself. An S3 URI (``s3://bucket/key``) is asked at the connection, see :func:`s3_url`.

    :raises BadUrlError: a relative URL, and no base.
    """
    if is_s3(url):
        return s3_url(base_url, url)
    if _ABSOLUTE.match(url):
        return url
    if not base_url:
        raise BadUrlError("the URL is relative, and the connection has no host")
    if not url:
        return base_url
    origin, path = _origin_and_path(base_url)
    if path and f"{url}/".startswith(f"{path}/"):
        return f"{origin}{url}"
    return f"{base_url.rstrip('/')}/{url.removeprefix('/')}"


def is_s3(url: str) -> bool:
    """Return whether this is an S3 URI, or meant to be one."""
    return _S3_URI.match(url) is not None


def s3_url(base_url: str, uri: str) -> str:
    """Return the URL at which an S3 URI is asked.

    Amazon's own hosts name the bucket in the host (a bucket with a dot, for which their certificate is not
    valid, in the path), and S3 in the region that the base names: ``https://athena.eu-west-1.amazonaws.com``
    and ``s3://b/k`` give ``https://b.s3.eu-west-1.amazonaws.com/k``. Everything else that speaks S3 takes
    the bucket as the first part of the path: ``http://minio:9000/b/k``.

    :param base_url: of the connection.
    :param uri: its key is taken as it is, and percent-encoded here.
    :raises BadUrlError: no base, no bucket, or no key.
    """
    match = _S3_URI.fullmatch(uri)
    bucket, key = match.groups() if match else ("", "")
    if not _BUCKET.fullmatch(bucket):
        raise BadUrlError("this is no S3 URI: expected s3://BUCKET/KEY, and the bucket is no bucket's name")
    if not key:
        raise BadUrlError("the S3 URI names a bucket and no object: expected s3://BUCKET/KEY")
    if not base_url:
        raise BadUrlError(
            "an S3 URI is asked at the connection's address, and the connection has no host; give it that of "
            "its S3, such as https://s3.eu-central-1.amazonaws.com"
        )
    path = quote(key, safe="/-_.~")
    amazon = _AMAZON.fullmatch(parse_url(base_url).host)
    if amazon is None:
        return f"{base_url.rstrip('/')}/{bucket}/{path}"
    region, domain = amazon.groups()
    host = f"s3.{region}.{domain}" if region else f"s3.{domain}"
    return f"https://{host}/{bucket}/{path}" if "." in bucket else f"https://{bucket}.{host}/{path}"


def follow_link(base_url: str, url: str, link: str) -> str:
    """Return the address that an answer links to.

    A link is resolved against the URL that was asked (RFC 3986 5), except for a path from the root of the
    connection's own host: an API behind a base with a path names it with that path or without, as a target.

    :param base_url: of the connection; may be empty.
    :param url: that was asked, in full.
    :param link: as the answer gives it: absolute, a path, or only a query.
    """
    rooted = link.startswith("/") and not link.startswith("//")
    if rooted and base_url and _same_origin(base_url, url):
        return join_url(base_url, link)
    return urljoin(url, link)


def _same_origin(one: str, other: str) -> bool:
    try:
        return origin_of(parse_url(one)) == origin_of(parse_url(other))
    except BadUrlError:
        return False


def _origin_and_path(base_url: str) -> tuple[str, str]:
    """Return ``https://h`` and ``/api/v1`` of ``https://h/api/v1/``; the path may be empty."""
    scheme, _, rest = base_url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", f"{slash}{path}".rstrip("/")


def parse_url(url: str) -> httpx.URL:
    """Return a URL that can be asked, without its fragment.

    :raises BadUrlError: not http or https, no host, a user name in front of the host, or not a URL.
    """
    try:
        parsed = httpx.URL(url)
        host = parsed.host
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise BadUrlError(f"this is not a URL: {error}") from None
    if parsed.scheme not in _PORTS:
        raise BadUrlError(f"the scheme {parsed.scheme!r} is not supported; valid: http, https, s3")
    if not host:
        raise BadUrlError("the URL has no host")
    if not 0 < _port(parsed) < 65536:
        raise BadUrlError(f"this is not a URL: there is no port {parsed.port}")
    if ":" not in host and not _HOST_NAME.fullmatch(parsed.raw_host.decode()):
        raise BadUrlError(f"this is not a URL: {parsed.raw_host.decode()!r} is no host name")
    if parsed.userinfo:
        raise BadUrlError(
            "the URL has a user name in front of the host; credentials belong into the connection's login "
            "and password"
        )
    return parsed.copy_with(fragment=None)


def with_params(url: httpx.URL, params: Iterable[tuple[str, str]]) -> httpx.URL:
    """Return the URL with parameters behind its own query, which stays as it is: it may be signed."""
    added = urlencode(list(params)).encode()
    if not added:
        return url
    query = url.query
    return url.copy_with(query=query + (b"&" if query else b"") + added)


def origin_of(url: httpx.URL) -> Origin:
    """Return scheme, host and port, normalised: lower case, IDNA, the port that the scheme means."""
    return url.scheme, url.raw_host.decode().lower(), _port(url)


def _port(url: httpx.URL) -> int:
    return _PORTS.get(url.scheme, 0) if url.port is None else url.port


def is_private(address: str) -> bool:
    """Return whether an IP address is not one of the public internet; a host name is not."""
    ip = _ip(address)
    return ip is not None and not ip.is_global


def is_link_local(address: str) -> bool:
    """Return whether an IP address is link-local, as are the metadata services of clouds."""
    ip = _ip(address)
    return ip is not None and (ip.is_link_local or str(ip) == "fd00:ec2::254")


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address.strip("[]").split("%", 1)[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip
