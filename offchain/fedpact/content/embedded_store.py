"""A content store in a folder, without a server, for any number of local processes (POSIX).

Layout: `content/<cid>` holds one file per item, `pins/<cid>` empty markers, `staging/` files being
written; `lock` is the lock. A file is renamed to its CID once it is on disk, so a crash leaves at
most a staging file.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fedpact.content.integrity import verify
from fedpact.errors import ContentMismatch, ContentMissing, ContentTooLarge, StoreUnreachable
from fedpact.types.cid import Cid

STAGING_SECONDS = 3600.0
"""An older staging file belongs to a writer that died."""


class EmbeddedStore:
    """ContentStore in `folder`, which is created if missing."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder).absolute()
        self._content = self._folder / "content"
        self._pins = self._folder / "pins"
        self._staging = self._folder / "staging"
        with self._reporting("opened"):
            for part in (self._content, self._pins, self._staging):
                part.mkdir(parents=True, exist_ok=True)

    def check(self) -> None:
        with self._reporting("written"), tempfile.TemporaryFile(dir=self._staging):
            pass

    def put(self, data: bytes) -> Cid:
        cid = Cid.of(data)
        target = self._content / str(cid)
        with self._reporting("written"), self._lock(fcntl.LOCK_SH):
            (self._pins / str(cid)).touch()
            if not _holds(target, data):
                self._write(target, data)
        return cid

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        with self._reporting("read"):
            try:
                with (self._content / str(cid)).open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    # One byte more than allowed: a file may grow between the two calls.
                    data = b"" if size > max_bytes else file.read(max_bytes + 1)
            except FileNotFoundError:
                raise ContentMissing(f"{cid} is not in the store {self._folder}") from None
        if max(size, len(data)) > max_bytes:
            raise ContentTooLarge(f"{cid} has {size} bytes, more than the {max_bytes} allowed")
        try:
            verify(cid, data)
        except ContentMismatch:
            self._remove_damaged(cid)
            raise
        return data

    def has(self, cid: Cid) -> bool:
        return (self._content / str(cid)).is_file()

    def pin(self, cid: Cid) -> None:
        with self._reporting("written"), self._lock(fcntl.LOCK_SH):
            if not self.has(cid):
                raise ContentMissing(f"{cid} is not in the store {self._folder}")
            (self._pins / str(cid)).touch()

    def unpin(self, cid: Cid) -> None:
        with self._reporting("written"), self._lock(fcntl.LOCK_SH):
            (self._pins / str(cid)).unlink(missing_ok=True)

    def collect_garbage(self) -> int:
        deleted = 0
        with self._reporting("written"), self._lock(fcntl.LOCK_EX):
            for item in self._content.iterdir():
                if not (self._pins / item.name).exists():
                    item.unlink()
                    deleted += 1
            for left in self._staging.iterdir():
                if time.time() - left.stat().st_mtime > STAGING_SECONDS:
                    left.unlink()
        return deleted

    def items(self) -> list[Cid]:
        """All that it holds, pinned or not."""
        with self._reporting("read"):
            return [Cid.parse(item.name) for item in self._content.iterdir()]

    def size(self) -> int:
        with self._reporting("read"):
            return sum(item.stat().st_size for item in os.scandir(self._content))

    def another(self) -> "EmbeddedStore":
        return EmbeddedStore(self._folder)

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _write(self, target: Path, data: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._staging)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self._content, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _remove_damaged(self, cid: Cid) -> None:
        """Delete an item that is not what it should be: whoever owes it sees that it is missing,
        and puts it again. A reader who may not write leaves it."""
        target = self._content / str(cid)
        with suppress(OSError), self._lock(fcntl.LOCK_EX):
            if Cid.of(target.read_bytes()) != cid:
                target.unlink()

    @contextmanager
    def _lock(self, mode: int) -> Iterator[None]:
        """Writers share the lock; the garbage collector holds it alone, so that it cannot delete
        what a writer has just found or pinned."""
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, mode)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _reporting(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnreachable(
                f"the store {self._folder} cannot be {action}: {error.strerror}"
            ) from error


def _holds(path: Path, data: bytes) -> bool:
    """Whether the file is intact; a damaged one is written again."""
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False
