"""Content-Encoding undone piece by piece, so that a small answer cannot unpack into a large memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

__all__ = ["ACCEPTED", "BadContentError", "Decoder", "decoder_for"]

ACCEPTED = "gzip, deflate"
_PIECE = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_LAYERS = 3


class BadContentError(Exception):
    """The body is not what its Content-Encoding says."""


class Decoder:
    """The identity; the base of the others."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data decode to, in pieces of bounded size.

        :raises BadContentError: they cannot be decoded.
        """
        if data:
            yield data

    def end(self) -> None:
        """Say that there are no more data.

        :raises BadContentError: more were needed.
        """


class _Zlib(Decoder):
    """gzip, of several members too (RFC 1952 2.2), and deflate in its two readings (RFC 9110 8.4.1.2)."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inflate = zlib.decompressobj(31) if name == "gzip" else None
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate is None:
                # deflate: zlib's header is 0x?8 and a multiple of 31; some servers leave it out.
                self._inflate = zlib.decompressobj(15 if data[0] & 0x0F == 8 else -15)
            self._begun = True
            if self._inflate.eof:
                data = self._next_member(data)
                continue
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error as error:
                raise BadContentError(f"the body is not valid {self._name}: {error}") from None
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                yield piece
        # What did not fit into the last piece may lie inside zlib, with all of the input already taken.
        while (
            self._inflate is not None
            and not self._inflate.eof
            and (piece := self._inflate.decompress(b"", _PIECE))
        ):
            yield piece

    def end(self) -> None:
        if self._begun and self._inflate is not None and not self._inflate.eof:
            raise BadContentError(f"the {self._name} body ends before its end")

    def _next_member(self, data: bytes) -> bytes:
        if self._name == "gzip" and data.startswith(_GZIP_MAGIC[: len(data)]):
            self._inflate = zlib.decompressobj(31)
            return data
        if data.strip(b"\0"):
            raise BadContentError(f"the {self._name} body has bytes after its end")
        return b""


class _Layers(Decoder):
    """Several encodings, undone from the last to the first."""

    def __init__(self, layers: list[Decoder]) -> None:
        self._layers = layers

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield from self._through(data, 0)

    def end(self) -> None:
        for layer in self._layers:
            layer.end()

    def _through(self, data: bytes, depth: int) -> Iterator[bytes]:
        if depth == len(self._layers):
            yield data
            return
        for piece in self._layers[depth].feed(data):
            yield from self._through(piece, depth + 1)


def decoder_for(content_encoding: str) -> Decoder:
    """Return the decoder for a Content-Encoding header; empty or ``identity``: nothing to do.

    :raises BadContentError: an encoding that was not asked for, or a pile of them.
    """
    names = [
        name for item in content_encoding.split(",") if (name := item.strip().lower()) not in ("", "identity")
    ]
    if not names:
        return Decoder()
    unknown = [name for name in names if name.removeprefix("x-") not in ("gzip", "deflate")]
    if unknown or len(names) > _MOST_LAYERS:
        raise BadContentError(
            f"the answer has Content-Encoding {content_encoding!r}; asked for was {ACCEPTED}"
        )
    return _Layers([_Zlib(name.removeprefix("x-")) for name in reversed(names)])
