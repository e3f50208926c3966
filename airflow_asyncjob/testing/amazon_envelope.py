"""What the fake of Amazon MWS does with an XML feed (AmazonEnvelope), and the report that it writes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

__all__ = ["Report", "process_envelope"]


@dataclass
class Report:
    """What became of a feed.

    :param xml: the processing report.
    :param accepted: SKUs of the messages that were accepted.
    :param refused: number, SKU and reason of each message that was not.
    """

    xml: bytes = b""
    accepted: list[str] = field(default_factory=list)
    refused: list[tuple[int, str | None, str]] = field(default_factory=list)


def process_envelope(feed_id: str, content: bytes, refuse_every: int) -> Report:
    """Return what becomes of a document."""
    report = Report()
    results: list[str] = []
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - what the client of a test sends
    except ElementTree.ParseError as error:
        results.append(_result("0", "5000", f"XML Parsing Fatal Error: {error}", ""))
        report.xml = _document(feed_id, report, results)
        return report
    seen: set[str] = set()
    messages = root.findall("Message") if root.tag == "AmazonEnvelope" else []
    for number, message in enumerate(messages, 1):
        message_id = message.findtext("MessageID") or ""
        sku = next((found.text for found in message.iter("SKU") if found.text), None)
        why = _mistake(message_id, sku, seen)
        if why is None and refuse_every and number % refuse_every == 0:
            why = ("8560", f"SKU {sku}, Missing Attributes product_type.")
        seen.add(message_id)
        if why is None:
            report.accepted.append(sku or "")
        else:
            report.refused.append((number, sku, why[1]))
            results.append(_result(message_id, *why, sku or ""))
    if not messages:
        results.append(_result("0", "5001", "The document is no AmazonEnvelope with messages.", ""))
    report.xml = _document(feed_id, report, results)
    return report


def _mistake(message_id: str, sku: str | None, seen: set[str]) -> tuple[str, str] | None:
    if not message_id.isdecimal() or message_id in seen:
        return "90208", "MessageID must be a positive number that no other message has."
    if sku is None:
        return "8542", "The SKU is missing."
    return None


def _result(message_id: str, code: str, why: str, sku: str) -> str:
    info = f"<AdditionalInfo><SKU>{escape(sku)}</SKU></AdditionalInfo>" if sku else ""
    return (
        f"<Result><MessageID>{escape(message_id)}</MessageID><ResultCode>Error</ResultCode>"
        f"<ResultMessageCode>{code}</ResultMessageCode>"
        f"<ResultDescription>{escape(why)}</ResultDescription>{info}</Result>"
    )


def _document(feed_id: str, report: Report, results: list[str]) -> bytes:
    good, bad = len(report.accepted), len(report.refused)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<AmazonEnvelope><Header><DocumentVersion>1.02'
        "</DocumentVersion><MerchantIdentifier>A1SELLERFORTESTS</MerchantIdentifier></Header>"
        "<MessageType>ProcessingReport</MessageType><Message><MessageID>1</MessageID><ProcessingReport>"
        f"<DocumentTransactionID>{feed_id}</DocumentTransactionID><StatusCode>Complete</StatusCode>"
        f"<ProcessingSummary><MessagesProcessed>{good + bad}</MessagesProcessed>"
        f"<MessagesSuccessful>{good}</MessagesSuccessful><MessagesWithError>{bad}</MessagesWithError>"
        "<MessagesWithWarning>0</MessagesWithWarning></ProcessingSummary>"
        f"{''.join(results)}</ProcessingReport></Message></AmazonEnvelope>\n"
    ).encode()
