"""Consistent copies of a provider's files, beside a running daemon."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from fedpact.chain import keystore
from fedpact.errors import InvalidInput, StateError
from fedpact.provider.files import ledger_file, outbox_file, provider_folder
from fedpact.settings import Settings

KEYS, STATE = "keys", "state"
"""Folders in a backup."""


def back_up(settings: Settings, account: str, address: str, folder: Path) -> list[Path]:
    """Copy all that a provider cannot get back from chain and store into a new folder: its key
    store, the owner's key, its ledger, state and register; the files written.

    Raises InvalidInput if the folder exists, KeyStoreError, StateError.
    """
    stored = keystore.find_account(settings.keystore, account)
    try:
        folder.mkdir(mode=0o700, parents=True)
        (folder / KEYS).mkdir(mode=0o700)
        shutil.copy2(stored.path, folder / KEYS)
    except FileExistsError:
        raise InvalidInput(f"{folder} exists: name a new folder for the backup") from None
    except OSError as error:
        raise InvalidInput(f"cannot write {folder}: {error.strerror}") from error
    copy_files(settings.state, folder / STATE, address)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def copy_files(state: Path, to: Path, address: str) -> None:
    """Copy an account's databases and the owner's key to another state folder, without
    transactions under way: nobody shall broadcast them from the copy.

    Raises StateError for files that cannot be copied.
    """
    folder, target = provider_folder(state, address), provider_folder(to, address)
    try:
        target.mkdir(parents=True)
        owner = ledger_file(state, address).parent.parent / "owner.key"
        if owner.exists():
            shutil.copy2(owner, target.parent)
        for file in folder.rglob("*.sqlite"):
            if file != outbox_file(state, address):
                copy = target / file.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                _copy_database(file, copy)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"cannot copy the files in {folder}: {error}") from error


def _copy_database(file: Path, to: Path) -> None:
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT, 0o600))
    with (
        closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)
