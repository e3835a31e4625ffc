"""Who has the keys of a request's evaluation slices: its requester, or an opener by a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedpact.chain.keystore import AccountKeys
from fedpact.requester.key_file import read_keys, write_keys
from fedpact.requester.slices import slice_key
from fedpact.types.specification import Specification

_FORMAT = "fedpact-slice-keys-1"


@dataclass(frozen=True)
class SliceKeys:
    """The keys of a request's slices, the first for round 1. Secret until each is opened.

    `deployment`: hex of Deployment.fingerprint.
    """

    deployment: str
    request: int
    keys: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"SliceKeys(request={self.request})"


def own_slice_keys(
    keys: AccountKeys, spec: Specification, fingerprint: bytes, request: int
) -> SliceKeys:
    """Those of the account that made the request: they follow from its key."""
    found = tuple(slice_key(keys, bytes.fromhex(part.sha256)) for part in spec.evaluation)
    return SliceKeys(fingerprint.hex(), request, found)


def write_slice_keys(given: SliceKeys, path: Path) -> None:
    """To a file that only its owner can read, for an opener; InvalidInput if that fails."""
    document = {
        "format": _FORMAT,
        "deployment": given.deployment,
        "request": given.request,
        "keys": [key.hex() for key in given.keys],
    }
    write_keys(path, document)


def read_slice_keys(path: Path) -> SliceKeys:
    """InvalidInput for a file that is none; its message shows no key."""
    return read_keys(
        path,
        _FORMAT,
        "slice keys",
        lambda one: SliceKeys(
            str(one["deployment"]),
            int(one["request"]),
            tuple(bytes.fromhex(key) for key in one["keys"]),
        ),
    )
