"""An account whose key another program holds and signs with: Web3Signer (its `eth1` mode) or Clef.

The program is never trusted: what it returns must be this account's signature of what was asked.

https://docs.web3signer.consensys.io/reference/api/json-rpc
https://geth.ethereum.org/docs/tools/clef/apis
"""

from typing import Any, NoReturn

import rlp
from eth_account import Account
from eth_account.datastructures import SignedMessage, SignedTransaction
from eth_account.messages import SignableMessage
from eth_account.signers.base import BaseAccount
from eth_typing import ChecksumAddress, Hash32
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from fedpact.chain.node import Node
from fedpact.chain.node_errors import RpcError
from fedpact.chain.signed_messages import signer_of
from fedpact.errors import InvalidInput, KeyStoreError, NodeUnreachable, SignerUnreachable

SIGN_SECONDS = 20.0
"""A person may have to confirm with Clef, but a cycle must not wait for long."""
_QUANTITIES = ("nonce", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value")


class RemoteSigner(BaseAccount):
    """Signs through the JSON-RPC at `url`: http(s):// or the path of an IPC socket.

    Raises SignerUnreachable if it does not answer or refuses, KeyStoreError if it answers with
    anything but the right signature.
    """

    def __init__(self, url: str, address: str) -> None:
        self._node = Node(url, SIGN_SECONDS)
        self._address = to_checksum_address(address)

    @property
    def address(self) -> ChecksumAddress:
        return self._address

    def sign_transaction(self, transaction_dict: Any) -> SignedTransaction:
        transaction = dict(transaction_dict)
        asked: dict[str, Any] = {"from": self._address}
        for name, value in transaction.items():
            if name in _QUANTITIES:
                asked[name] = hex(value)
        asked["data"] = "0x" + bytes(transaction["data"]).hex()
        if "to" in transaction:
            asked["to"] = transaction["to"]
        answer = self._ask("eth_signTransaction", asked)
        raw = HexBytes(answer["raw"] if isinstance(answer, dict) else answer)
        expected = _unsigned(transaction)
        found = rlp.decode(bytes(raw[1:]) if raw[0] < 0x80 else bytes(raw))
        if found[: len(expected)] != expected or self._other(Account.recover_transaction(raw)):
            raise KeyStoreError(
                f"the remote signer {self._node.shown} signed another transaction than it was"
                f" asked to, or not for {self._address}: it is not used"
            )
        v, r, s = (int.from_bytes(part, "big") for part in found[-3:])
        return SignedTransaction(raw, HexBytes(keccak(raw)), r, s, v)

    def sign_message(self, signable_message: SignableMessage) -> SignedMessage:
        if signable_message.version != b"E":
            raise KeyStoreError("a remote signer needs typed data as a whole: use `sign_typed`")
        body = "0x" + signable_message.body.hex()
        return self._checked(signable_message, self._ask("eth_sign", self._address, body))

    def sign_typed(self, signable: SignableMessage, document: dict[str, Any]) -> SignedMessage:
        """EIP-712: `document` is what `signable` was made from."""
        return self._checked(
            signable, self._ask("eth_signTypedData", self._address, _plain(document))
        )

    def unsafe_sign_hash(self, message_hash: Hash32) -> NoReturn:
        raise KeyStoreError("a remote signer signs no bare hashes")

    def _checked(self, message: SignableMessage, answer: Any) -> SignedMessage:
        try:
            signature = bytes.fromhex(str(answer).removeprefix("0x"))
            if len(signature) == 65 and signature[64] < 27:
                signature = signature[:64] + bytes([signature[64] + 27])
            signer = signer_of(message, signature)
        except (ValueError, InvalidInput) as error:
            raise self._useless(str(error)) from None
        if self._other(signer):
            raise self._useless(f"it signs for {signer}")
        r, s = signature[:32], signature[32:64]
        return SignedMessage(
            HexBytes(keccak(b"\x19" + b"".join(message))),
            int.from_bytes(r, "big"),
            int.from_bytes(s, "big"),
            signature[64],
            HexBytes(signature),
        )

    def _useless(self, why: str) -> KeyStoreError:
        return KeyStoreError(
            f"the remote signer {self._node.shown} does not sign for {self._address} ({why}):"
            " it is not used"
        )

    def _other(self, account: Any) -> bool:
        return str(account).lower() != self._address.lower()

    def _ask(self, method: str, *params: Any) -> Any:
        try:
            return self._node.call(method, params)
        except RpcError as error:
            raise SignerUnreachable(
                f"the remote signer {self._node.shown} refused {method}: {error.message}"
            ) from None
        except NodeUnreachable as error:
            raise SignerUnreachable(f"remote signer: {error}") from None


def _unsigned(transaction: dict[str, Any]) -> list[Any]:
    """The fields that are signed, as RLP lists them (EIP-1559, else EIP-155)."""
    fees = ["maxPriorityFeePerGas", "maxFeePerGas"] if "type" in transaction else ["gasPrice"]
    head = ["chainId", "nonce"] if "type" in transaction else ["nonce"]
    numbers = [_big_endian(transaction[name]) for name in (*head, *fees, "gas")]
    to = bytes.fromhex(str(transaction.get("to", ""))[2:])
    return [*numbers, to, _big_endian(transaction["value"]), bytes(transaction["data"])]


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _plain(value: Any) -> Any:
    """In JSON types: bytes as 0x hex."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return "0x" + value.hex() if isinstance(value, bytes) else value
