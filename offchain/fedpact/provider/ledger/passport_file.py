"""Passports as files: signed by the account, with the owner's key sealed to it."""

import base64
import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from fedpact.chain.keystore import AccountKeys
from fedpact.errors import InvalidInput
from fedpact.privacy import passport
from fedpact.privacy.ledger.lock import ServingLock
from fedpact.privacy.passport import Merged
from fedpact.provider.files import ledger_file
from fedpact.provider.ledger.opening import keep_owner_key, open_ledger, owner_key
from fedpact.provider.ledger.report import existing_ledger
from fedpact.types.document import canonical_json

FORMAT, VERSION = "fedpact-privacy-passport", "1"


def export_passport(state: Path, keys: AccountKeys) -> dict[str, Any]:
    """The passport of an account's ledger (docs/passport.md).

    Raises NotReady without a ledger, LedgerError if it is damaged.
    """
    with existing_ledger(state, keys) as ledger:
        body = passport.body_of(ledger)
    secret = owner_key(ledger_file(state, keys.address).parent.parent)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "account": keys.address,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "owner_key": base64.b64encode(bytes(_box(keys).encrypt(secret))).decode(),
        "ledger": body,
    }
    return {**content, "signature": "0x" + keys.sign_text(_signed_text(content)).hex()}


def import_passport(state: Path, keys: AccountKeys, path: Path) -> Merged:
    """Merge a passport into the account's ledger, which is made if there is none.

    Raises InvalidInput for a file that is no passport of this account, LedgerError if its journal
    is broken, if a daemon serves with the ledger, or if ledgers here belong to another owner's key.
    """
    content = _read(path, keys)
    try:
        passport.check(content["ledger"])
        secret = bytes(_box(keys).decrypt(base64.b64decode(content["owner_key"])))
    except (KeyError, TypeError, ValueError, CryptoError) as error:
        raise InvalidInput(f"passport {path}: {type(error).__name__}: {error}") from error
    file = ledger_file(state, keys.address)
    with ServingLock.of(file):
        keep_owner_key(file.parent.parent, secret)
        with open_ledger(file, keys) as ledger:
            return passport.merge(ledger, content["ledger"])


def _read(path: Path, keys: AccountKeys) -> dict[str, Any]:
    """A passport of this account, its signature checked."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = (content["format"], content["version"])
        account, signature = content["account"], content.pop("signature")
        text = _signed_text(content)
    except OSError as error:
        raise InvalidInput(f"passport {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"{path} is not a passport: {type(error).__name__}: {error}") from error
    if kind != (FORMAT, VERSION):
        raise InvalidInput(
            f"passport {path} has format {kind[0]!r}, version {kind[1]!r}: this fedpact reads "
            f"{FORMAT!r}, version {VERSION!r}"
        )
    try:
        signer = str(Account.recover_message(encode_defunct(text), signature=signature))
    except Exception as error:  # eth-account raises several kinds for what is no signature
        raise InvalidInput(f"passport {path}: its signature cannot be read") from error
    if account != keys.address:
        raise InvalidInput(f"passport {path} is of account {account}, not of {keys.address}")
    if signer != keys.sender:  # of a wallet: its owner
        raise InvalidInput(f"passport {path}: the signature is not that of its account {account}")
    return dict(content)


def _signed_text(content: dict[str, Any]) -> bytes:
    """What the account signs (EIP-191): names the account, and the digest of all but the
    signature."""
    digest = sha256(canonical_json(content)).hexdigest()
    head = content["ledger"]["head"]
    return (
        f"fedpact privacy passport {VERSION}\naccount {content['account']}\nhead {head}\n"
        f"sha256 {digest}\n"
    ).encode()


def _box(keys: AccountKeys) -> SecretBox:
    return SecretBox(keys.derive("passport-owner-key"))


def write_passport(path: Path, content: dict[str, Any]) -> None:
    """Write a passport for its owner alone. Raises InvalidInput if it cannot be written."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(canonical_json(content) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
    except OSError as error:
        raise InvalidInput(f"passport {path}: {error.strerror}") from error
