"""What shows on chain that a delivered key is wrong (contracts/libraries/SealedDelivery.sol).

The requester publishes the shared point S = q E with a proof that S is to E as its public key Q is
to G (Chaum & Pedersen 1992, by Fiat and Shamir's transform).
"""

from dataclasses import dataclass

from eth_hash.auto import keccak

from fedpact.content.bn254 import (
    ORDER,
    Point,
    derived_scalar,
    difference,
    multiply,
    public_key,
    word,
)
from fedpact.content.delivery import Delivery
from fedpact.errors import InvalidInput


@dataclass(frozen=True)
class SharedPoint:
    """S with the proof that only the requester can make; what a dispute publishes."""

    shared: Point
    challenge: int
    response: int

    @property
    def fields(self) -> tuple[tuple[int, int], int, int]:
        """As the contract takes it."""
        return self.shared.fields, self.challenge, self.response


def prove(secret: int, delivery: Delivery, final_rounds: int, context: bytes) -> SharedPoint:
    """What shows on chain that the delivered key is wrong; `context` as in `dispute_context`.

    Raises InvalidInput for a right key: the proof would publish it, and the chain refuse it.
    """
    if keccak(delivery.opened(secret, final_rounds)) == delivery.key_digest:
        raise InvalidInput("the delivered key is the model's: there is nothing to dispute")
    base = delivery.ephemeral
    shared = multiply(base, secret)
    statement = public_key(secret).encode() + base.encode() + shared.encode()
    nonce = derived_scalar(word(secret), b"fedpact/equal-logarithms-nonce/v1", context + statement)
    first, second = public_key(nonce), multiply(base, nonce)
    challenge = _challenge(context, statement, first, second)
    return SharedPoint(shared, challenge, (nonce + challenge * secret) % ORDER)


def proof_holds(requester: Point, delivery: Delivery, proof: SharedPoint, context: bytes) -> bool:
    """Whether S belongs to the requester's key and the delivery, as the contract checks it."""
    base, shared = delivery.ephemeral, proof.shared
    statement = requester.encode() + base.encode() + shared.encode()
    first = difference(Point(1, 2), proof.response, requester, proof.challenge)
    second = difference(base, proof.response, shared, proof.challenge)
    if first is None or second is None:
        return False
    return _challenge(context, statement, first, second) == proof.challenge


def dispute_context(chain_id: int, market: str, request_id: int) -> bytes:
    """What a proof is bound to: chain, market (address) and request."""
    address = bytes.fromhex(market.removeprefix("0x")).rjust(32, b"\0")
    return bytes(keccak(word(chain_id) + address + word(request_id)))


def sale_context(chain_id: int, resale: str, request_id: int, buyer: str) -> bytes:
    """What a buyer's proof is bound to: chain, resale market (address), request and buyer."""
    words = (resale, buyer)
    market, account = (bytes.fromhex(one.removeprefix("0x")).rjust(32, b"\0") for one in words)
    return bytes(keccak(word(chain_id) + market + word(request_id) + account))


def _challenge(context: bytes, statement: bytes, first: Point, second: Point) -> int:
    return int.from_bytes(keccak(context + statement + first.encode() + second.encode()))
