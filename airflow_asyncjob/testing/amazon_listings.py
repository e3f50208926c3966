"""What the fake of Amazon does with a JSON_LISTINGS_FEED, and the processing report that it writes.

Fields, limits and words for each operation type: ``schemas/feeds/listings-feed-schema-v2.json`` and
``listings-feed-processing-report-schema-v2.json`` of github.com/amzn/selling-partner-api-models, read
2026-11-22.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["MOST_MESSAGES", "Processed", "process"]

MOST_MESSAGES = 10_000
_LARGEST_ID = 2_147_483_647
_INVALID = "The provided message did not meet the schema validation requirements for a feed message."
_FORBIDDEN = {
    "UPDATE": ("patches",),
    "PARTIAL_UPDATE": ("requirements", "patches"),
    "PATCH": ("requirements", "attributes"),
    "DELETE": ("requirements", "attributes", "productType", "patches"),
}
_REQUIRED = {
    "UPDATE": ("productType", "attributes"),
    "PARTIAL_UPDATE": ("productType", "attributes"),
    "PATCH": ("productType", "patches"),
    "DELETE": (),
}


@dataclass(frozen=True)
class Processed:
    """What became of a feed.

    :param report: the processing report.
    :param accepted: SKUs of the messages that were accepted.
    :param refused: number, SKU and reason of each message that was not.
    """

    report: dict[str, Any]
    accepted: list[str]
    refused: list[tuple[int, str | None, str]]


def process(feed_id: str, content: bytes, refuse_every: int, most_bytes: int) -> Processed | None:
    """Return what becomes of a document; None: it is too large, or no JSON object with messages."""
    if len(content) > most_bytes:
        return None
    try:
        document = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        header, messages = document["header"], document["messages"]
        seller, version = header["sellerId"], header["version"]
    except (ValueError, TypeError, KeyError, OSError):
        return None
    if not isinstance(messages, list) or not 1 <= len(messages) <= MOST_MESSAGES:
        return None
    head = {"sellerId": seller, "version": "2.0", "feedId": feed_id}
    if version != "2.0":
        why = "The 'version' attribute does not match the required value."
        none = [(number, _sku(message), why) for number, message in enumerate(messages, 1)]
        return Processed(_report(head, [_issue(None, None, "4002006", why)], 0, 0), [], none)
    issues: list[dict[str, Any]] = []
    accepted: list[str] = []
    refused: list[tuple[int, str | None, str]] = []
    seen: set[int] = set()
    for number, message in enumerate(messages, 1):
        found = _issues_of(message, number, seen, refuse_every)
        issues += found
        if found:
            refused.append((number, _sku(message), found[0]["message"]))
        else:
            accepted.append(message["sku"])
    return Processed(_report(head, issues, len(accepted), len(refused)), accepted, refused)


def _sku(message: Any) -> str | None:
    return message.get("sku") if isinstance(message, dict) else None


def _issues_of(message: Any, number: int, seen: set[int], refuse_every: int) -> list[dict[str, Any]]:
    """Return the issues of a message: for a wrong one, one; for one that is refused on request, two."""
    message_id = message.get("messageId") if isinstance(message, dict) else None
    if not isinstance(message_id, int) or isinstance(message_id, bool):
        return [_issue(None, None, "4002008", _INVALID)]
    if not 1 <= message_id <= _LARGEST_ID or message_id in seen or not _is_valid(message):
        return [_issue(message_id, None, "4002008", _INVALID)]
    seen.add(message_id)
    if refuse_every and number % refuse_every == 0:
        return [
            _issue(message_id, message["sku"], "90220", f"'[{name}]' is required but not supplied.")
            for name in ("batteries_required", "supplier_declared_dg_hz_regulation")
        ]
    return []


def _is_valid(message: dict[str, Any]) -> bool:
    kind = message.get("operationType")
    return (
        isinstance(message.get("sku"), str)
        and message["sku"] != ""
        and kind in _REQUIRED
        and all(message.get(name) for name in _REQUIRED[kind])
        and not any(name in message for name in _FORBIDDEN[kind])
    )


def _issue(message_id: int | None, sku: str | None, code: str, message: str) -> dict[str, Any]:
    found = {"messageId": message_id, "sku": sku, "code": code, "severity": "ERROR", "message": message}
    return {name: value for name, value in found.items() if value is not None}


def _report(
    head: dict[str, Any], issues: list[dict[str, Any]], accepted: int, invalid: int
) -> dict[str, Any]:
    summary = {
        "errors": len(issues),
        "warnings": 0,
        "messagesProcessed": accepted + invalid,
        "messagesAccepted": accepted,
        "messagesInvalid": invalid,
    }
    return {"header": head, "issues": issues, "summary": summary}
