"""Accounts: eth-account key stores on disk, and all other secrets derived from the signing key.

The key store is the only secret on disk. The X25519 key to which others seal, the salts of votes
and the keys of evaluation slices derive from the account's private key by HKDF-SHA256 (RFC 5869),
so restoring the key store restores them all.
"""

import json
import logging
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from nacl.public import PrivateKey

from fedpact.chain.addresses import checksum
from fedpact.errors import KeyStoreError

log = logging.getLogger(__name__)

PASSWORD_VARIABLE = "FEDPACT_PASSWORD"
SCRYPT_COST = 2**18
"""Cost of opening a key store (scrypt's N): about a second and 256 MB, as in geth."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class AccountKeys:
    """An unlocked account. `signer` signs for it and is never shown in a repr or log."""

    signer: LocalAccount = field(repr=False)

    @property
    def address(self) -> str:
        """Checksummed (EIP-55)."""
        return str(self.signer.address)

    def derive(self, purpose: str, *context: bytes) -> bytes:
        """32 secret bytes for a purpose and context, the same every time.

        HKDF-SHA256 over the private key; the info is purpose and context, each preceded by its
        length, so that different lists never give the same bytes.
        """
        parts = [b"fedpact", purpose.encode(), *context]
        info = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return HKDF(SHA256(), length=32, salt=None, info=info).derive(bytes(self.signer.key))

    @property
    def seal_entropy(self) -> bytes:
        """32 secret bytes from which the ephemeral keys of seals derive."""
        return self.derive("seal")

    def sign_text(self, text: bytes) -> bytes:
        """65 bytes: an EIP-191 signature (version 0x45, `personal_sign`) of `text`."""
        return bytes(self.signer.sign_message(encode_defunct(text)).signature)

    def encryption_key(self, version: int = 1) -> PrivateKey:
        """X25519 key of a version, as the registry numbers them; versions start at 1."""
        return PrivateKey(self.derive("encryption-key", version.to_bytes(4, "big")))


@dataclass(frozen=True)
class StoredAccount:
    """A key store on disk, not unlocked."""

    name: str
    address: str
    path: Path


def create_account(
    folder: Path, password: str, name: str | None = None, *, scrypt_cost: int = SCRYPT_COST
) -> AccountKeys:
    """Create an account; its key store is `folder`/`name`.json (`name` None: the address).

    Raises KeyStoreError for a name that is taken or invalid, and for an empty password.
    """
    return _store(folder, Account.create(), password, name, scrypt_cost)


def import_account(
    folder: Path,
    secret: str,
    password: str,
    name: str | None = None,
    *,
    scrypt_cost: int = SCRYPT_COST,
) -> AccountKeys:
    """Store the account of a private key (64 hex digits, 0x or not) under a password."""
    try:
        signer: LocalAccount = Account.from_key(secret.strip())
    except ValueError:
        # Without the cause: its text may hold the key.
        raise KeyStoreError("not a private key: 64 hex digits are needed") from None
    if any(stored.address == signer.address for stored in list_accounts(folder)):
        raise KeyStoreError(f"{folder} already holds account {signer.address}")
    return _store(folder, signer, password, name, scrypt_cost)


def list_accounts(folder: Path) -> list[StoredAccount]:
    """Accounts with a key store in `folder`, by name; none if the folder does not exist."""
    found = [_describe(path) for path in sorted(folder.glob("*.json"))]
    return [stored for stored in found if stored is not None]


def unlock(folder: Path, account: str, password: str) -> AccountKeys:
    """Open the key store of an account, given by name or address.

    Raises KeyStoreError if there is none, or the password does not open it.
    """
    stored = find_account(folder, account)
    mode = stored.path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("other users can read %s: run chmod 600 on it", stored.path)
    try:
        key = Account.decrypt(json.loads(stored.path.read_text()), password)
    except (ValueError, KeyError, TypeError) as error:
        if "MAC mismatch" in str(error):
            raise KeyStoreError(f"wrong password for account {stored.name}") from None
        raise KeyStoreError(f"{stored.path} is damaged: {error}") from error
    return AccountKeys(Account.from_key(key))


def find_account(folder: Path, account: str) -> StoredAccount:
    """The key store of an account, given by name or address; KeyStoreError if there is none."""
    stores = list_accounts(folder)
    for stored in stores:
        if account == stored.name or account.lower() == stored.address.lower():
            return stored
    names = ", ".join(stored.name for stored in stores) or "none"
    raise KeyStoreError(f"no account {account} in {folder} (it holds: {names})")


def read_password(
    file: Path | None = None,
    prompt: Callable[[], str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """The password from `file` if given, else from FEDPACT_PASSWORD, else from the prompt."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise KeyStoreError(f"password file {file}: {error.strerror}") from error
    if PASSWORD_VARIABLE in environment:
        return environment[PASSWORD_VARIABLE]
    if prompt is None:
        raise KeyStoreError(f"no password: name its file or set {PASSWORD_VARIABLE}")
    return prompt()


def _store(
    folder: Path, signer: LocalAccount, password: str, name: str | None, scrypt_cost: int
) -> AccountKeys:
    chosen = signer.address if name is None else name
    if not _NAME.fullmatch(chosen):
        raise KeyStoreError(f"{chosen!r} cannot name an account: letters, digits, . _ - only")
    if not password:
        raise KeyStoreError("an empty password protects nothing")
    content = Account.encrypt(signer.key, password, kdf="scrypt", iterations=scrypt_cost)
    path = folder / f"{chosen}.json"
    fresh = folder / f".{chosen}.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # unlike a rename, fails if the name is taken
        finally:
            fresh.unlink()
    except FileExistsError as error:
        raise KeyStoreError(f"{path} already exists") from error
    except OSError as error:
        raise KeyStoreError(f"cannot write {path}: {error.strerror}") from error
    return AccountKeys(signer)


def _describe(path: Path) -> StoredAccount | None:
    """None for a .json file that is not a key store."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if "crypto" not in content and "Crypto" not in content:
            return None
        return StoredAccount(
            path.stem, checksum("0x" + content["address"].removeprefix("0x")), path
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
