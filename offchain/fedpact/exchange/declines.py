"""What a provider says when it stays out of a request: a coarse reason, signed, at its endpoint.

It costs no gas, and it binds nobody: who has declined may not come back, but nothing on chain
depends on it. One message an account and request; docs/adr/0054 says what it may depend on.
"""

from __future__ import annotations

from typing import Annotated

from eth_account.messages import SignableMessage, encode_typed_data
from pydantic import Field, ValidationError

from fedpact.chain.contract_wallets import MOST_SIGNATURE, WalletSignatures
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import Domain, signed_digest, signer_of
from fedpact.errors import InvalidInput, RetrievalError
from fedpact.types.decline_reason import Reason
from fedpact.types.document import Document, canonical_json
from fedpact.types.specification import Account as Address
from fedpact.types.validation import first_error

LONGEST_DECLINE = 1024
"""Bytes."""


class Decline(Document):
    """One provider's word on one request."""

    account: Address
    reason: Reason
    signature: Annotated[str, Field(pattern=rf"^([0-9a-f]{{2}}){{65,{MOST_SIGNATURE}}}$")]
    """Of the account's key, or what its contract wallet takes for one (ERC-1271)."""

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))


def declined(keys: AccountKeys, domain: Domain, request: int, reason: Reason) -> Decline:
    """Signed. Raises SignerUnreachable."""
    signature = keys.sign_typed(*domain.typed("Decline", request, reason.value))
    return Decline(account=keys.address, reason=reason, signature=signature.hex())


def checked(
    content: bytes, domain: Domain, request: int, account: str, wallets: WalletSignatures
) -> Decline:
    """A message that this account signed for this request; raises RetrievalError for another.

    `account`: hex. `wallets`: asked where the account's key has not signed.
    """
    if len(content) > LONGEST_DECLINE:
        raise RetrievalError(f"a decline of {len(content)} bytes: at most {LONGEST_DECLINE}")
    try:
        found = Decline.model_validate_json(content)
        signable = encode_typed_data(*domain.typed("Decline", request, found.reason.value))
    except ValidationError as error:
        raise RetrievalError(f"decline: {first_error(error)}") from error
    except (ValueError, InvalidInput) as error:
        raise RetrievalError(f"decline: {error}") from error
    if found.account.lower() != account.lower():
        raise RetrievalError(f"a decline of {found.account}, where {account} was asked")
    signature = bytes.fromhex(found.signature)
    if _signer(signable, signature) == found.account:
        return found
    signed = wallets.look(found.account, signed_digest(signable), signature)
    if signed is None:
        raise RetrievalError(f"the node does not say whether {found.account} signed its decline")
    if not signed:
        raise RetrievalError(f"{found.account} has not signed this decline")
    return found


def _signer(signable: SignableMessage, signature: bytes) -> str | None:
    """Whose key signed; None: the bytes are no key's signature."""
    try:
        return signer_of(signable, signature)
    except InvalidInput:
        return None
