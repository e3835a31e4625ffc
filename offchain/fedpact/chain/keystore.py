"""Accounts: eth-account key stores on disk, and all other secrets derived from the signing key.

The key store is the only secret on disk. The X25519 key to which others seal, the salts of votes
and the keys of evaluation slices derive from the account's private key by HKDF-SHA256 (RFC 5869),
so restoring the key store restores them all. Where another program holds the account's key, they
derive from a secret of their own, which the key store then has in its place.
"""

import json
import logging
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_account.signers.base import BaseAccount
from eth_account.signers.local import LocalAccount
from nacl.public import PrivateKey

from fedpact.chain.addresses import checksum
from fedpact.chain.remote_signer import RemoteSigner
from fedpact.chain.signed_messages import WalletSignature
from fedpact.errors import KeyStoreError

log = logging.getLogger(__name__)

PASSWORD_VARIABLE = "FEDPACT_PASSWORD"
SCRYPT_COST = 2**18
"""Cost of opening a key store (scrypt's N): about a second and 256 MB, as in geth."""
LARGEST_BYTES = 1 << 16
"""Of a file that may be a key store."""
_DOMAIN_TYPES = {
    "name": "string",
    "version": "string",
    "chainId": "uint256",
    "verifyingContract": "address",
    "salt": "bytes32",
}
"""EIP-712."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class AccountKeys:
    """An unlocked account. `signer` signs for it and is never shown in a repr or log."""

    signer: BaseAccount = field(repr=False)
    secret: bytes | None = field(repr=False, default=None)
    """What the other secrets derive from; None: the account's own key."""
    wallet: str | None = None
    """The contract wallet that acts, checksummed, of which the signer is an owner; None: the
    signer's own account acts."""

    @property
    def address(self) -> str:
        """Of the account that acts, checksummed (EIP-55)."""
        return self.wallet or self.sender

    @property
    def sender(self) -> str:
        """Of the account that sends transactions and pays for them."""
        return str(self.signer.address)

    def for_seat(
        self, domain: dict[str, Any], types: dict[str, Any], message: dict[str, Any]
    ) -> list[bytes]:
        """What a call needs that carries this EIP-712 message of the account: its signature, or
        nothing where the account itself sends the call."""
        return [] if self.wallet is None else [self.sign_typed(domain, types, message)]

    def derive(self, purpose: str, *context: bytes) -> bytes:
        """32 secret bytes for a purpose and context, the same every time.

        HKDF-SHA256 over the private key, or `secret`; the info is purpose, context and wallet,
        each preceded by its length, so that different lists never give the same bytes.
        """
        root = self.secret
        if root is None:
            assert isinstance(self.signer, LocalAccount)
            root = bytes(self.signer.key)
        parts = [b"fedpact", purpose.encode(), *context]
        if self.wallet is not None:  # a key may own several
            parts.append(bytes.fromhex(self.wallet[2:]))
        info = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        # Not by `cryptography`, which takes 7 MB that an idle daemon does without.
        derived = HKDF(root, 32, b"", SHA256, context=info)
        assert isinstance(derived, bytes)
        return derived

    @property
    def seal_entropy(self) -> bytes:
        """32 secret bytes from which the ephemeral keys of seals derive."""
        return self.derive("seal")

    def sign_text(self, text: bytes) -> bytes:
        """65 bytes: the signer's EIP-191 signature (version 0x45, `personal_sign`) of `text`."""
        return bytes(self.signer.sign_message(encode_defunct(text)).signature)

    def sign_typed(
        self, domain: dict[str, Any], types: dict[str, Any], message: dict[str, Any]
    ) -> bytes:
        """65 bytes: an EIP-712 signature; a WalletSignature of them where a wallet acts."""
        signature = self._signature(domain, types, message)
        return signature if self.wallet is None else WalletSignature(signature)

    def _signature(
        self, domain: dict[str, Any], types: dict[str, Any], message: dict[str, Any]
    ) -> bytes:
        signable = encode_typed_data(domain, types, message)
        if isinstance(self.signer, RemoteSigner):
            fields = [{"name": name, "type": _DOMAIN_TYPES[name]} for name in domain]
            document = {
                "types": {"EIP712Domain": fields, **types},
                "primaryType": next(iter(types)),
                "domain": domain,
                "message": message,
            }
            return bytes(self.signer.sign_typed(signable, document).signature)
        return bytes(self.signer.sign_message(signable).signature)

    def encryption_key(self, version: int = 1) -> PrivateKey:
        """X25519 key of a version, as the registry numbers them; versions start at 1."""
        return PrivateKey(self.derive("encryption-key", version.to_bytes(4, "big")))


@dataclass(frozen=True)
class StoredAccount:
    """A key store on disk, not unlocked."""

    name: str
    address: str | None
    """None if the file does not say it, as those of `cast wallet import`."""
    path: Path


def create_account(
    folder: Path, password: str, name: str | None = None, *, scrypt_cost: int = SCRYPT_COST
) -> AccountKeys:
    """Create an account; its key store is `folder`/`name`.json (`name` None: the address).

    Raises KeyStoreError for a name that is taken or invalid, and for an empty password.
    """
    signer: LocalAccount = Account.create()
    content = Account.encrypt(signer.key, password, kdf="scrypt", iterations=scrypt_cost)
    _store(folder, content, password, signer.address if name is None else name)
    return AccountKeys(signer)


def remote_account(
    folder: Path,
    url: str,
    address: str,
    password: str,
    name: str | None = None,
    *,
    scrypt_cost: int = SCRYPT_COST,
) -> AccountKeys:
    """Use an account (checksummed) whose key the program at `url` holds. It is asked to sign once.

    The key store has a new secret, from which the account's other secrets derive.
    Raises SignerUnreachable, and KeyStoreError as `create_account`.
    """
    secret = secrets.token_bytes(32)
    keys = AccountKeys(RemoteSigner(url, address), secret)
    keys.sign_text(b"fedpact: is this account's key here?")
    content: dict[str, Any] = Account.encrypt(
        secret, password, kdf="scrypt", iterations=scrypt_cost
    )
    _store(
        folder,
        {**content, "address": address[2:], "signer": url},
        password,
        address if name is None else name,
    )
    return keys


def change_password(
    folder: Path, account: str, old: str, new: str, *, scrypt_cost: int = SCRYPT_COST
) -> StoredAccount:
    """Encrypt an account's key store again; raises KeyStoreError as `unlock`."""
    stored, content, secret = _opened(folder, account, old)
    _require_password(new)
    fresh: dict[str, Any] = Account.encrypt(secret, new, kdf="scrypt", iterations=scrypt_cost)
    fresh |= {name: content[name] for name in ("address", "signer") if name in content}
    with _written(folder, stored.path.name, fresh) as file:
        os.replace(file, stored.path)
    return stored


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
    content = Account.encrypt(signer.key, password, kdf="scrypt", iterations=scrypt_cost)
    _store(folder, content, password, signer.address if name is None else name)
    return AccountKeys(signer)


def list_accounts(folder: Path) -> list[StoredAccount]:
    """Accounts with a key store in `folder`, by name; none if the folder does not exist.

    Geth and `cast` write files without an extension: the name is the whole file name then.
    """
    files = [path for path in sorted(folder.glob("[!.]*")) if path.is_file()]
    found = [_describe(path) for path in files]
    return [stored for stored in found if stored is not None]


def unlock(folder: Path, account: str, password: str) -> AccountKeys:
    """Open the key store of an account, given by name or address.

    Raises KeyStoreError if there is none, or the password does not open it.
    """
    stored, content, secret = _opened(folder, account, password)
    if "signer" in content:
        assert stored.address is not None
        return AccountKeys(RemoteSigner(str(content["signer"]), stored.address), secret)
    return AccountKeys(Account.from_key(secret))


def find_account(folder: Path, account: str) -> StoredAccount:
    """The key store of an account, given by name or address; KeyStoreError if there is none."""
    stores = list_accounts(folder)
    for stored in stores:
        if account == stored.name or account.lower() == (stored.address or "").lower():
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
            return file.read_text(encoding="utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise KeyStoreError(f"password file {file}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise KeyStoreError(f"password file {file}: not UTF-8") from None
    if PASSWORD_VARIABLE in environment:
        return environment[PASSWORD_VARIABLE]
    if prompt is None:
        raise KeyStoreError(f"no password: name its file or set {PASSWORD_VARIABLE}")
    return prompt()


def _store(folder: Path, content: dict[str, Any], password: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise KeyStoreError(f"{name!r} cannot name an account: letters, digits, . _ - only")
    _require_password(password)
    path = folder / f"{name}.json"
    with _written(folder, path.name, content) as file:
        try:
            os.link(file, path)  # unlike a rename, fails if the name is taken
        except FileExistsError as error:
            raise KeyStoreError(f"{path} already exists") from error


@contextmanager
def _written(folder: Path, name: str, content: dict[str, Any]) -> Iterator[Path]:
    """A finished file under another name, for the owner alone; it is gone afterwards."""
    fresh = folder / f".{name}.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            yield fresh
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise KeyStoreError(f"cannot write {folder / name}: {error.strerror}") from error


def _opened(
    folder: Path, account: str, password: str
) -> tuple[StoredAccount, dict[str, Any], bytes]:
    """An account's file, what is in it, and the 32 bytes that it protects."""
    stored = find_account(folder, account)
    mode = stored.path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("other users can read %s: run chmod 600 on it", stored.path)
    try:
        content: dict[str, Any] = json.loads(stored.path.read_text())
        # Some programs write the version as text.
        secret = Account.decrypt({**content, "version": int(content["version"])}, password)
    except (ValueError, KeyError, TypeError, NotImplementedError, RecursionError) as error:
        if "MAC mismatch" in str(error):
            raise KeyStoreError(f"wrong password for account {stored.name}") from None
        raise KeyStoreError(f"{stored.path} is damaged: {error}") from error
    return stored, content, bytes(secret)


def _require_password(password: str) -> None:
    if not password:
        raise KeyStoreError("an empty password protects nothing")


def _describe(path: Path) -> StoredAccount | None:
    """None for a file that is not a key store."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        if "crypto" not in content and "Crypto" not in content:
            return None
        written = content.get("address")
        address = checksum("0x" + written.removeprefix("0x")) if written else None
        return StoredAccount(path.name.removesuffix(".json"), address, path)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
