"""What the fake of Walmart does with the items of a feed."""

from __future__ import annotations

import email.parser
import email.policy
import json
from dataclasses import dataclass, field
from typing import Any

from airflow_asyncjob.testing.api import Received

__all__ = ["MOST_ITEMS", "Feed", "ingest", "multipart_file"]

MOST_ITEMS = 10_000
_HEADER = {"businessUnit", "locale", "version"}
"""The only fields of the header of specification 5."""
_ID_TYPES = ("GTIN", "UPC", "EAN", "ISBN")


@dataclass
class Feed:
    """A feed and what becomes of it.

    :param id: its ID.
    :param created_at: seconds since the epoch.
    :param items: of each item what the feed item status says of it.
    :param error: why the whole feed fails; empty: it does not.
    """

    id: str
    created_at: float
    items: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""


def multipart_file(request: Received) -> Any:
    """Return the JSON of the field ``file`` of a multipart body; None when it is none."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    for part in message.iter_parts() if message.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "file":
            content = part.get_payload(decode=True)
            try:
                return json.loads(content) if isinstance(content, bytes) else None
            except ValueError:
                return None
    return None


def ingest(feed_id: str, document: Any, now: float, refuse_every: int) -> Feed:
    """Return what becomes of a feed."""
    feed = Feed(feed_id, now)
    header = document.get("MPItemFeedHeader") if isinstance(document, dict) else None
    items = document.get("MPItem") if isinstance(document, dict) else None
    if not isinstance(header, dict) or not isinstance(items, list) or not items:
        feed.error = "the document is not a feed with MPItemFeedHeader and MPItem"
        return feed
    for number, item in enumerate(items):
        refused = bool(refuse_every) and (number + 1) % refuse_every == 0
        feed.items.append(_ingested(item, number, refused))
    if set(header) != _HEADER or any(not isinstance(value, str) or not value for value in header.values()):
        feed.error = f"MPItemFeedHeader has exactly {', '.join(sorted(_HEADER))}"
    elif len(items) > MOST_ITEMS:
        feed.error = f"a feed has at most {MOST_ITEMS} items"
    return feed


def _ingested(item: Any, index: int, refused: bool) -> dict[str, Any]:
    orderable = item.get("Orderable") if isinstance(item, dict) else None
    orderable = orderable if isinstance(orderable, dict) else {}
    visible = item.get("Visible") if isinstance(item, dict) else None
    errors = [
        {"type": "DATA_ERROR", "code": "ERR_PDI_0001", "field": name, "description": why}
        for name, why in _mistakes(orderable, visible)
    ]
    if refused and not errors:
        why = "The brand is not recognised."
        errors = [{"type": "DATA_ERROR", "code": "ERR_PDI_0002", "field": "brand", "description": why}]
    return {
        "martId": 0,
        "sku": orderable.get("sku") if isinstance(orderable.get("sku"), str) else "",
        "wpid": "" if errors else f"WPID{index:08d}",
        "index": index,
        "ingestionStatus": "DATA_ERROR" if errors else "SUCCESS",
        "ingestionErrors": {"ingestionError": errors or None},
    }


def _mistakes(orderable: dict[str, Any], visible: Any) -> list[tuple[str, str]]:
    found = []
    sku, price = orderable.get("sku"), orderable.get("price")
    if not isinstance(sku, str) or not 1 <= len(sku) <= 50:
        found.append(("sku", "'sku' is a text of 1 to 50 characters."))
    product = orderable.get("productIdentifiers")
    if (
        not isinstance(product, dict)
        or product.get("productIdType") not in _ID_TYPES
        or not isinstance(product.get("productId"), str)
    ):
        found.append(("productIdentifiers", "'productIdentifiers' has a productIdType and a productId."))
    if isinstance(price, bool) or not isinstance(price, (int, float)) or price <= 0:
        found.append(("price", "'price' is a number greater than 0."))
    kinds = list(visible.values()) if isinstance(visible, dict) else []
    if len(kinds) != 1 or not isinstance(kinds[0], dict) or not kinds[0].get("productName"):
        found.append(("productName", "'productName' is required but not supplied."))
    return found
