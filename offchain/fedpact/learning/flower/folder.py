"""The folder of an app's process: all that an app writes goes there, and goes with the process."""

import fcntl
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

PREFIX = "fedpact-flower-"
_NEW = "fedpact-new-"
"""Before it is locked."""
_HOME = "home"
_IMPORTED = "imported"


class Folder:
    """A folder that is removed with `end`, with this object, or at this process's end.

    It is locked meanwhile: what a killed process left is not, and the next one removes it.
    Raises OSError.
    """

    def __init__(self) -> None:
        _sweep()
        new = Path(tempfile.mkdtemp(prefix=_NEW))
        lock = os.open(new, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.path = new.rename(new.with_name(PREFIX + new.name.removeprefix(_NEW)))
        self.end = weakref.finalize(self, _end, self.path, lock)
        self.home = home_in(self.path)
        self.home.mkdir()


def home_in(folder: Path) -> Path:
    """Where the app runs: its working folder, home, and place of caches and temporary files."""
    return folder / _HOME


def keep_imported(folder: Path) -> None:
    """Let each message find in its home what importing the app has written there. Raises
    OSError."""
    home_in(folder).rename(folder / _IMPORTED)
    _make_home(folder)


def renew_home(folder: Path) -> None:
    """Nothing that a message has written is in the next one's home. Raises OSError."""
    # Moving it cannot fail on what it holds, as removing may.
    used = Path(tempfile.mkdtemp(prefix="used-", dir=folder))
    home_in(folder).rename(used / _HOME)
    remove(used)
    _make_home(folder)


def _make_home(folder: Path) -> None:
    home = home_in(folder)
    home.mkdir()
    with suppress(shutil.Error):  # sockets and the like
        shutil.copytree(folder / _IMPORTED, home, symlinks=True, dirs_exist_ok=True)


def remove(folder: Path) -> None:
    """A folder with all that is in it, folders that must not be written included."""
    for base, names, _ in os.walk(folder):
        for name in names:
            with suppress(OSError):
                if not os.path.islink(one := os.path.join(base, name)):
                    os.chmod(one, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _end(folder: Path, lock: int) -> None:
    remove(folder)
    os.close(lock)


def _sweep() -> None:
    """Remove what killed processes have left."""
    for one in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another account's, or in use
            lock = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.geteuid():
                    remove(one)
            finally:
                os.close(lock)
