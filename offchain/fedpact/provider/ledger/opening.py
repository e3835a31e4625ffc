"""Opening a provider's ledger, and making its data known there when a daemon starts."""

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.chain.keystore import AccountKeys
from fedpact.errors import DataError, LedgerError, LedgerUnavailable
from fedpact.privacy.ledger.file import LOCK_TIMEOUT, Watch
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.resemblance import Appearance, question, remember

if TYPE_CHECKING:
    from fedpact.data.declared import DeclaredData

KEY_BYTES = 32


def owner_key(folder: Path) -> bytes:
    """The secret under which the ledgers in a state folder know units: that of the data's owner,
    whatever accounts it uses. Made on first use; kept in `owner.key`, for the owner alone.

    Raises LedgerError if the file cannot be used.
    """
    path = folder / "owner.key"
    if not path.exists():
        _write_owner_key(path, secrets.token_bytes(KEY_BYTES))
    try:
        key = path.read_bytes()
    except OSError as error:
        raise LedgerUnavailable(f"owner's key {path}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise LedgerError(f"owner's key {path} has {len(key)} bytes, not {KEY_BYTES}: restore it")
    return key


def keep_owner_key(folder: Path, key: bytes) -> None:
    """Use this owner's key in a state folder from now on.

    Raises LedgerError if ledgers there know units under another one.
    """
    path = folder / "owner.key"
    if path.exists() and owner_key(folder) != key:
        if any(folder.glob("*/privacy.sqlite")):
            raise LedgerError(
                f"the ledgers in {folder} know units under another owner's key than the passport: "
                "move that folder away and import into an empty one; what was submitted from it is "
                "on chain, and is charged when the daemon starts"
            )
        path.unlink()
    if not path.exists():
        _write_owner_key(path, key)


def _write_owner_key(path: Path, key: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"owner.key.{secrets.token_hex(8)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(key)
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):  # another process may have been faster
            os.link(fresh, path)
        fresh.unlink()
    except OSError as error:
        raise LedgerUnavailable(f"owner's key {path}: {error.strerror}") from error


def open_ledger(
    path: Path,
    keys: AccountKeys,
    lock_timeout: float = LOCK_TIMEOUT,
    watch: Watch | None = None,
) -> Ledger:
    """The ledger at `path` (`files.ledger_file`). Raises LedgerError as `Ledger`."""
    return Ledger(
        path,
        owner_key(path.parent.parent),
        former_key=keys.derive("privacy-ledger"),
        lock_timeout=lock_timeout,
        watch=watch,
    )


def introduce(
    ledger: Ledger, data: "DeclaredData", name: str = "", *, new_data: bool = False
) -> None:
    """Make a data set known to the ledger, before anything of it is released.

    `name`: tells data sets with one `data_id` apart.

    Units take over what they had spent before version 4. Raises DataError, for the owner, if they
    are charged in the ledger of another account in this state folder, or if the data look like some
    that have been charged but share no unit with them and the owner does not say that they are
    `new_data`.
    """
    from fedpact.data.identity import coarse_sketch, declared_columns

    if ledger.has_former_units:
        ledger.link(data.renamed)
    units = set(data.units)
    for other in sorted(ledger.file.path.parent.parent.glob("*/privacy.sqlite")):
        if other.resolve() == ledger.file.path.resolve():
            continue
        shared = _charged(other, [ledger.spending.keyed(unit) for unit in units])
        if 2 * shared > len(units):
            raise DataError(
                f"{shared} of {len(units)} privacy units are charged in the ledger of account "
                f"{other.parent.name}: serve them with that account, or their budget would start "
                "over"
            )
    seen = Appearance(
        data.schema.data_id,
        len(data.units),
        declared_columns(data.schema),
        coarse_sketch(data.schema, data.records),
        name,
    )
    asked = None if new_data else question(ledger, seen, units)
    if asked is not None:
        raise DataError(asked)
    remember(ledger, seen, units, confirmed=new_data)


def _charged(path: Path, keyed: list[bytes]) -> int:
    """How many of the units another account's ledger knows; 0 for one that cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.execute("CREATE TEMP TABLE asked (digest BLOB PRIMARY KEY) WITHOUT ROWID")
            db.executemany("INSERT OR IGNORE INTO asked VALUES (?)", ((one,) for one in keyed))
            found = db.execute("SELECT count(*) FROM units JOIN asked USING (digest)").fetchone()
    except sqlite3.Error:
        return 0
    return int(found[0])
