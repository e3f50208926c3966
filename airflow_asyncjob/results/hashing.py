"""SHA-256 in a thread of its own.

It takes as long as it takes to receive and to write the same bytes, and leaves the interpreter to others
meanwhile.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["HashBeside"]

_AT_ONCE = 1024 * 1024
_MOST = 4
"""So many runs of pieces may wait: memory does not grow where hashing is the slowest."""


class HashBeside:
    """Hashes pieces in their order, while who brought them goes on.

    :param digest: is hashed on with; nobody else may use it until :meth:`wait` was called.
    """

    def __init__(self, digest: hashlib._Hash) -> None:
        self._hash = digest
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiting: deque[Future[None]] = deque()
        self._thread: ThreadPoolExecutor | None = None

    def update(self, data: bytes) -> None:
        """Take a piece."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size < _AT_ONCE:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "asyncjob-sha256")
        if len(self._waiting) == _MOST:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._take, self._pieces))
        self._pieces, self._size = [], 0

    def wait(self) -> None:
        """Return when all pieces are hashed."""
        while self._waiting:
            self._waiting.popleft().result()
        self._take(self._pieces)
        self._pieces, self._size = [], 0

    def digest(self) -> bytes:
        """Return the SHA-256 of all pieces."""
        self.wait()
        return self._hash.digest()

    def close(self) -> None:
        """Let go of the thread."""
        self.wait()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _take(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._hash.update(piece)
