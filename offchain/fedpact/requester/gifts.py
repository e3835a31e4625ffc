"""A finished result given away: the key of its model in a file.

Whoever has the file fetches the model at no price, with all that the chain proves of it: the key
must be the one whose digest the delivery announced, and the content the last round's model.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput
from fedpact.requester.fetching import OpenedKey, delivery_of
from fedpact.requester.look import RequestLook
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
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


def read_gift(path: Path) -> Gift:
    """InvalidInput for a file that is none; its message shows no key."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            raise InvalidInput(f"{path} is not of format {_FORMAT}")
        key = bytes.fromhex(document["key"])
        return Gift(str(document["deployment"]), int(document["request"]), key)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise InvalidInput(f"{path} holds no gift") from None


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
