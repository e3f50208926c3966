"""Parts: what is known of an upload before it is sent, small enough to be kept and handed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["PartInfo", "Plan"]


@dataclass(frozen=True)
class PartInfo:
    """One part: what a template sees as ``part``, and where its records lie.

    :param number: from 1.
    :param first: number of its first record among those that the job sends, from 1.
    :param records: how many it holds.
    :param bytes: size of the body.
    :param last: whether it is the last one.
    :param count: how many parts there are.
    :param sha256: of the body, in hex.
    :param md5: of the body, in base64 (RFC 1864); empty where no request names it.
    :param position: where the source goes on with its first record: ``[offset, records to pass over, number
        of the next record]``; only the uploads know what the offset counts.
    """

    number: int
    first: int
    records: int
    bytes: int
    last: bool
    count: int
    sha256: str
    md5: str
    position: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, which templates see as ``part``."""
        return {**asdict(self), "position": list(self.position)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PartInfo:
        """Return what :meth:`to_dict` wrote."""
        given = {field.name: data[field.name] for field in fields(cls)}
        return cls(**{**given, "position": tuple(data["position"])})


@dataclass(frozen=True)
class Plan:
    """How an upload is cut.

    :param parts: in the order in which they are sent; at least one.
    :param records: how many are sent.
    :param bytes: size of all bodies.
    :param rejected: how many records are not sent, since they cannot be mapped or are too large.
    :param mark: fingerprint of the records and of the settings that cut them: the same for the same, so that
        a process that carries on knows whether the source changed.
    """

    parts: tuple[PartInfo, ...]
    records: int
    bytes: int
    rejected: int
    mark: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "parts": [part.to_dict() for part in self.parts],
            "records": self.records,
            "bytes": self.bytes,
            "rejected": self.rejected,
            "mark": self.mark,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Return what :meth:`to_dict` wrote."""
        parts = tuple(PartInfo.from_dict(part) for part in data["parts"])
        return cls(parts, data["records"], data["bytes"], data["rejected"], data["mark"])
