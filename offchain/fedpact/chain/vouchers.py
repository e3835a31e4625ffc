"""Vouchers: the registrar's signed admission of an account (EIP-712)."""

import json
from typing import Any

from eth_utils.address import is_checksum_address

from fedpact.chain.bindings.binding import camel
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import InvalidInput
from fedpact.types.deployment import Deployment
from fedpact.types.participants import SignedVoucher, Voucher

MAX_ORGANISATION = 2**16 - 1
"""Largest number that the registry accepts."""

_FORMAT = "fedpact-voucher-1"
_NO_VOUCHER = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_TYPES = {
    "Voucher": [
        {"name": "account", "type": "address"},
        {"name": "organisation", "type": "uint32"},
        {"name": "nonce", "type": "uint256"},
        {"name": "expiry", "type": "uint256"},
    ]
}


def sign_voucher(
    keys: AccountKeys,
    deployment: Deployment,
    account: str,
    organisation: int,
    nonce: int,
    expiry: int,
) -> SignedVoucher:
    """Admit `account` (checksummed) for `organisation` until second `expiry`.

    Organisations are numbered from 1 to MAX_ORGANISATION. A voucher is valid once, only on this
    chain and for this registry. Raises InvalidInput.
    """
    if not is_checksum_address(account):
        raise InvalidInput(f"{account!r} is not a checksummed address (EIP-55)")
    if not 0 < organisation <= MAX_ORGANISATION:
        raise InvalidInput(f"organisation {organisation} is not in 1 to {MAX_ORGANISATION}")
    voucher = Voucher(account, organisation, nonce, expiry)
    here = (deployment.chain_id, deployment.registry)
    signature = keys.sign_typed(_domain(*here), _TYPES, camel(voucher))
    return SignedVoucher(voucher, signature, *here)


def encode_voucher(signed: SignedVoucher) -> str:
    """JSON, for a file that the registrar hands to the participant."""
    document = {
        "format": _FORMAT,
        "chain_id": signed.chain_id,
        "registry": signed.registry,
        **camel(signed.voucher),
        "signature": "0x" + signed.signature.hex(),
    }
    return json.dumps(document, indent=2) + "\n"


def decode_voucher(text: str) -> SignedVoucher:
    """The voucher in a file's text; InvalidInput if it is not one."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document["format"] != _FORMAT:
            raise InvalidInput(f"a voucher of format {document['format']!r}, not {_FORMAT!r}")
        return SignedVoucher(
            voucher=Voucher(
                account=str(document["account"]),
                organisation=int(document["organisation"]),
                nonce=int(document["nonce"]),
                expiry=int(document["expiry"]),
            ),
            signature=bytes.fromhex(document["signature"].removeprefix("0x")),
            chain_id=int(document["chain_id"]),
            registry=str(document["registry"]),
        )
    except _NO_VOUCHER as error:
        raise InvalidInput(f"not a voucher: {type(error).__name__} {error}") from error


def _domain(chain_id: int, registry: str) -> dict[str, Any]:
    return {
        "name": "fedpact",
        "version": "2",
        "chainId": chain_id,
        "verifyingContract": registry,
    }
