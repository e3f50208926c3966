"""Files of one result on a local disk, aside until they are whole.

A file that is being written has no name (``O_TMPFILE``), so that a process that is killed leaves nothing. It
gets its name when it is whole. Where that is not possible it lies in a hidden folder beside the destination,
which is locked as long as its process lives; the next attempt removes hidden folders that nobody holds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from airflow_asyncjob.errors import DestinationError
from airflow_asyncjob.results.destination import Destination

__all__ = ["LocalStage", "explained", "remove_local"]

_ASIDE = ".asyncjob-{}.part"
_OPEN_FILES = 64
_EARLY = 16 * 1024 * 1024
_DESCRIPTORS = Path("/proc/self/fd")
_NOT_HERE = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


class LocalStage:
    """The files of one result on a local disk.

    :raises DestinationError: the destination is of the wrong kind, or its path cannot be.
    """

    def __init__(self, destination: Destination, *, folder: bool) -> None:
        self._uri = destination.uri
        # A link is followed, so that the file it points to is replaced and the link stays.
        self._target = Path(os.path.realpath(destination.path))
        self._named = folder
        self._folder = self._target if folder else self._target.parent
        self._parts: list[_LocalPart] = []
        self._aside: _Aside | None = None
        try:
            self._refuse_wrong_kind()
            # Folders that are missing are made when the files are placed: an attempt that fails leaves none,
            # and removes none that another attempt just began to write into.
            self.base = next(path for path in (self._folder, *self._folder.parents) if path.exists())
            _remove_stale(self.base)
        except OSError as error:
            raise explained(self._uri, error) from error

    def part(self, name: str) -> _LocalPart:
        """Open the next file aside."""
        part = _LocalPart(self, self._folder / name if self._named else self._target)
        self._parts.append(part)
        return part

    def commit(self) -> tuple[str, ...]:
        """Move the files into place."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for part in self._parts:
                part.place()
            for folder in {self.base, self._folder}:
                _sync(folder)
        except OSError as error:
            raise explained(self._uri, error) from error
        if self._named:
            return tuple(self._uri + part.target.name for part in self._parts)
        return (self._uri,)

    def discard(self) -> None:
        """Remove everything that was not moved into place."""
        for part in self._parts:
            part.close()
        if self._aside is not None:
            self._aside.remove()

    def aside(self) -> _Aside:
        """Return the hidden folder of this attempt."""
        if self._aside is None:
            self._aside = _Aside(self.base)
        return self._aside

    @property
    def crowded(self) -> bool:
        """Whether so many files are open that the next ones get a hidden name instead."""
        return len(self._parts) > _OPEN_FILES

    @property
    def uri(self) -> str:
        """For messages."""
        return self._uri

    def _refuse_wrong_kind(self) -> None:
        try:
            mode = self._target.stat().st_mode
        except FileNotFoundError:
            return
        if not self._named and stat.S_ISDIR(mode):
            raise DestinationError(
                f"{self._uri} cannot be written: it is a folder. Give it a file name, or end it with / to "
                "have raw files put into it."
            )
        if self._named and stat.S_ISREG(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise DestinationError(
                f"{self._uri} cannot be written: it is a device, a pipe or a socket, and a result replaces "
                "its destination. Give it the path of a file."
            )


class _LocalPart:
    """One file without a name, or with a hidden one."""

    def __init__(self, stage: LocalStage, target: Path) -> None:
        self.target = target
        self._stage = stage
        self._hidden: Path | None = None
        self._size = self._begun = 0
        try:
            self._fd = self._open()
        except OSError as error:
            raise explained(stage.uri, error) from error

    def write(self, data: bytes | memoryview) -> None:
        """Write all of it."""
        view = memoryview(data).cast("B")
        try:
            while view:
                size = os.write(self._fd, view)
                view = view[size:]
                self._size += size
            if self._size - self._begun >= _EARLY:
                self._begin()
        except OSError as error:
            raise explained(self._stage.uri, error) from error

    def _begin(self) -> None:
        """Have the system begin to bring to the disk what was written, so that the end need not wait."""
        advise = getattr(os, "posix_fadvise", None)
        if advise is not None:
            # Drops from memory what is on the disk, which the newest bytes are not: these it begins to write.
            advise(self._fd, self._begun, self._size - self._begun, os.POSIX_FADV_DONTNEED)
        self._begun = self._size

    def finish(self) -> None:
        """Make the bytes durable; in a large folder, trade the open file for a hidden name."""
        try:
            os.fsync(self._fd)
            if self._stage.crowded:
                self._hide()
                self.close()
        except OSError as error:
            raise explained(self._stage.uri, error) from error

    def place(self) -> None:
        """Give the file its name, in place of a file that has it."""
        if self._hidden is None and not os.path.lexists(self.target):
            with suppress(FileExistsError):
                self._link(self.target)
                return
        self._hide()
        assert self._hidden is not None
        os.replace(self._hidden, self.target)  # noqa: PTH105

    def close(self) -> None:
        """Let go of the file; one without a name is gone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        unnamed = getattr(os, "O_TMPFILE", None)
        if unnamed is not None and _DESCRIPTORS.exists():
            try:
                return os.open(self._stage.base, unnamed | os.O_WRONLY | os.O_CLOEXEC, 0o666)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
        self._hidden = self._stage.aside().path()
        return os.open(self._hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)

    def _hide(self) -> None:
        if self._hidden is None:
            hidden = self._stage.aside().path()
            self._link(hidden)
            self._hidden = hidden

    def _link(self, name: Path) -> None:
        # The way that open(2) gives for O_TMPFILE. A folder descriptor makes Python use linkat(2), which
        # follows the link in /proc.
        folder = os.open(name.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.link(_DESCRIPTORS / str(self._fd), name.name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)


class _Aside:
    """The hidden folder of one attempt, locked as long as its process lives."""

    def __init__(self, folder: Path) -> None:
        self._count = 0
        while True:
            self._path = folder / _ASIDE.format(secrets.token_hex(8))
            self._path.mkdir(mode=0o700)
            if self._hold():
                return

    def _hold(self) -> bool:
        # Until it is locked, somebody who tidies up may take it for stale: then another one is made.
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return False
        held = True
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        except OSError:
            # The storage has no locks, and so nobody takes anything for stale.
            pass
        if held and self._path.exists():
            return True
        os.close(self._fd)
        return False

    def path(self) -> Path:
        """Return a new path in it."""
        self._count += 1
        return self._path / str(self._count)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._fd)


def remove_local(destination: Destination) -> None:
    """Remove a file, where there is one."""
    try:
        Path(destination.path).unlink(missing_ok=True)
    except OSError as error:
        raise explained(destination.uri, error) from error


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(_ASIDE.format("*")):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            # Its process lives, or the storage has no locks: then nothing says that it is stale.
            continue
        finally:
            os.close(fd)


def explained(uri: str, error: OSError) -> DestinationError:
    """Return the error for a local path that cannot be written, with what to do."""
    if error.errno in _NO_SPACE:
        advice = "Free space there, or choose another destination"
    elif error.errno in _NO_PERMISSION:
        advice = "Let the user that runs this write there, or choose another destination"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        advice = "A part of the path is a file and not a folder: correct the path"
    else:
        advice = "Correct the path, or choose another destination"
    where = f" ({error.filename})" if error.filename else ""
    return DestinationError(f"{uri} cannot be written: {error.strerror or error}{where}. {advice}.")
