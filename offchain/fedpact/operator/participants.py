"""Participants: vouchers, admission, registration with key and profile, and the list."""

import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.vouchers import decode_voucher, sign_voucher
from fedpact.content.store import ContentStore
from fedpact.errors import DeploymentError, InvalidInput
from fedpact.types.attributes import Attribute, AttributeTree
from fedpact.types.document import canonical_json
from fedpact.types.participants import Participant, ParticipantStatus, SignedVoucher

NO_PROFILE = bytes(32)
"""Digest and attributes root of an account without data, such as a requester's."""
ENCRYPTION_KEY_BYTES = 32


def new_voucher(
    client: ChainClient, keys: AccountKeys, account: str, organisation: int, seconds: int
) -> SignedVoucher:
    """Sign an account's admission, valid for `seconds` from the chain's present time.

    Raises InvalidInput for a malformed address or organisation, or if `keys` are not the
    registrar's.
    """
    registrar = client.registry.registrar()
    if registrar != keys.address:
        raise InvalidInput(f"the registrar is {registrar}, not {keys.address}")
    expiry = client.frame().timestamp + seconds
    nonce = secrets.randbits(63)
    return sign_voucher(keys, client.deployment, account, organisation, nonce, expiry)


def register(
    client: ChainClient,
    store: ContentStore,
    keys: AccountKeys,
    voucher_file: Path,
    categories: Sequence[str] = (),
) -> None:
    """Redeem a voucher: register with an encryption key and a profile of the data's categories.

    Raises InvalidInput for a file that is no voucher or another account's, DeploymentError for
    one of another registry, Reverted if the registry refuses it.
    """
    try:
        voucher = decode_voucher(voucher_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"voucher {voucher_file} cannot be read: {error}") from error
    if voucher.voucher.account.lower() != keys.address.lower():
        raise InvalidInput(f"the voucher admits {voucher.voucher.account}, not {keys.address}")
    here = client.deployment
    if (voucher.chain_id, voucher.registry.lower()) != (here.chain_id, here.registry.lower()):
        raise DeploymentError(
            f"the voucher is for the registry {voucher.registry} on chain {voucher.chain_id}, "
            f"the deployment's is {here.registry} on chain {here.chain_id}"
        )
    profile, root = NO_PROFILE, NO_PROFILE
    if categories:
        profile = store.put(canonical_json({"version": 1, "categories": list(categories)})).digest
        root = AttributeTree([_category(keys, name) for name in categories]).root
    public = bytes(keys.encryption_key().public_key)
    client.registry.register(keys, voucher, public, profile, root)


def admit(
    client: ChainClient, keys: AccountKeys, account: str, organisation: int, encryption_key: str
) -> None:
    """Register an account without a voucher; `encryption_key` is X25519, 64 hex digits."""
    try:
        key = bytes.fromhex(encryption_key.removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != ENCRYPTION_KEY_BYTES:
        raise InvalidInput(f"{encryption_key!r} is not an X25519 public key (64 hex digits)")
    client.registry.admit(keys, account, organisation, key, NO_PROFILE, NO_PROFILE)


def participants(client: ChainClient) -> list[Participant]:
    """All accounts ever registered, in order of registration."""
    events = client.registry.history()
    accounts = [event.args["account"] for event in events if event.name == "Registered"]
    return [client.registry.participant(account) for account in accounts]


def _category(keys: AccountKeys, name: str) -> Attribute:
    """A leaf that reveals nothing about the category without the salt."""
    value = sha256(name.encode()).digest()
    return Attribute(sha256(b"category").digest(), value, keys.derive("attribute-salt", value))


def rotate_encryption_key(client: ChainClient, keys: AccountKeys) -> int:
    """Register the next version of the account's encryption key; returns its number.

    Raises InvalidInput for an account that is not registered.
    """
    found = client.registry.participant(keys.address)
    if found.status is ParticipantStatus.NONE:
        raise InvalidInput(f"account {keys.address} is not registered: there is no key to replace")
    version = found.key_version + 1
    client.registry.set_encryption_key(keys, bytes(keys.encryption_key(version).public_key))
    return version
