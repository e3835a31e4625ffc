"""A finished result given away: the key of its model in a file.

Whoever has the file fetches the model at no price, with all that the chain proves of it: the key
must be the one whose digest the delivery announced, and the content the last round's model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput
from fedpact.requester.fetching import OpenedKey, delivery_of
from fedpact.requester.key_file import read_keys, write_keys
from fedpact.requester.request_view import RequestLook
from fedpact.types.specification import Specification

_FORMAT = "fedpact-gift-1"


@dataclass(frozen=True)
class Gift:
    """`deployment`: hex of Deployment.fingerprint; `key`: 32 bytes that open the final model."""

    deployment: str
    request: int
    key: bytes

    def __repr__(self) -> str:
        return f"Gift(request={self.request})"


def write_gift(spec: Specification, look: RequestLook, opened: OpenedKey, path: Path) -> None:
    """To a new file that only its owner can read. InvalidInput if that fails, and for a result
    that is on sale: its makers are paid for each copy."""
    if spec.resale is not None:
        raise InvalidInput(
            f"request {look.request_id}: its result is sold, and its makers are paid for each copy:"
            " whoever wants it can buy it"
        )
    document = {
        "format": _FORMAT,
        "deployment": look.client.deployment.fingerprint.hex(),
        "request": look.request_id,
        "key": opened.key.hex(),
    }
    write_keys(path, document)


def read_gift(path: Path) -> Gift:
    """InvalidInput for a file that is none; its message shows no key."""
    return read_keys(
        path,
        _FORMAT,
        "gift",
        lambda one: Gift(str(one["deployment"]), int(one["request"]), bytes.fromhex(one["key"])),
    )


def key_given(gift: Gift, look: RequestLook) -> OpenedKey:
    """Raises InvalidInput for a gift of another request, or whose key is not the model's; NotReady
    before the delivery."""
    here = look.client.deployment.fingerprint.hex()
    if (gift.deployment, gift.request) != (here, look.request_id):
        raise InvalidInput(
            f"the gift is of request {gift.request} in deployment {gift.deployment[:8]}, not of"
            f" request {look.request_id} in {here[:8]}"
        )
    delivery, count = delivery_of(look)
    if keccak(gift.key) != delivery.key_digest:
        raise InvalidInput(f"the gift's key is not that of request {look.request_id}'s model")
    return OpenedKey(gift.key, count)
