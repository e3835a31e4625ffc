"""TrainingRounds: starts, rounds as one transaction or in batches, and what they earned; what
rounds of both kinds have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.chain.abi import ROUNDS, SECOND
from fedpact.chain.bindings.binding import Binding, camel, snake
from fedpact.chain.bindings.calls import calls_in
from fedpact.chain.records import BlockReference, Call
from fedpact.chain.signed_messages import (
    Anchored,
    Board,
    Domain,
    LargeRecord,
    RoundRecord,
    pack_signatures,
)
from fedpact.types.requests import Link, MessageKind, Phase, RoundFacts, RoundsOutcome, Start


@dataclass(frozen=True)
class Post:
    """What was posted of a round, decoded: the arguments of the call, or of the event."""

    args: Sequence[Any]
    of_event: bool = False


class AnyRounds(Binding, ABC):
    """What rounds of both kinds have: contracts/interfaces/IRoundStart.sol, and views."""

    PROTOCOL = SECOND

    @property
    def domain(self) -> Domain:
        """For the signatures of all that members sign in a round."""
        return Domain(self._connection.chain_id, self.address)

    # Start and end

    def start(self, request: int, index: int, facts: Start) -> Call:
        """By the member with this pool index, in its turn."""
        return self.own_function("start", request, index, camel(facts))

    def expire(self, request: int) -> Call:
        """End a request that cannot start."""
        return self.function("expire", request)

    def close(self, request: int) -> Call:
        """Close a round that came to nothing (phase FAILED)."""
        return self.function("close", request)

    # Views

    def round_facts(self, request: int, block: BlockReference = None) -> RoundFacts:
        """All about the present round; phase NONE if there is no such request."""
        [found] = self.all_facts([request], block)
        return found

    def all_facts(self, requests: Sequence[int], block: BlockReference = None) -> list[RoundFacts]:
        """As `round_facts`, of several requests in one round trip."""
        calls = [self.function("roundFacts", number) for number in requests]
        answers = self._connection.read(calls, block)
        return [self.facts_of(self.decoded("roundFacts", one)) for one in answers]

    @staticmethod
    @abstractmethod
    def facts_of(struct: dict[str, Any]) -> RoundFacts:
        """The decoded result of `roundFacts`."""

    def outcome(self, request: int, block: BlockReference = None) -> RoundsOutcome:
        return RoundsOutcome(**snake(self._view("outcome", request, block=block)))

    @abstractmethod
    def posted_record(self, tx_hash: str, record_hash: bytes) -> RoundRecord | LargeRecord | None:
        """The record of a RoundPosted event: from its transaction's calldata, or from an event if a
        contract posted it. None if the transaction is not known, or holds none."""

    def open_terms(self, request: int, block: BlockReference = None) -> bytes:
        """Hash of the terms while the request waits for members; Reverted otherwise."""
        return bytes(self._view("openTerms", request, block=block))

    def _posts(self, tx_hash: str, function: str, event: str) -> Iterator[Post]:
        """What was posted in a transaction: from its calldata, or from events if a contract
        posted it.

        Calldata that this contract did not execute is not decoded: a few kilobytes of it can say
        that they hold gigabytes.
        """
        transaction = self._connection.rpc.call("eth_getTransactionByHash", tx_hash)
        if transaction is None:
            return
        if str(transaction["to"]).lower() == self.address.lower():
            calldata = bytes.fromhex(str(transaction["input"]).removeprefix("0x"))
            for call in calls_in(self._abi, calldata):
                if call.function == function:
                    yield Post(call.args)
            return
        receipt = self._connection.rpc.call("eth_getTransactionReceipt", tx_hash)
        for log in [] if receipt is None else receipt["logs"]:
            found = self._connection.decode(log)
            if found is not None and found.name == event:
                yield Post(tuple(found.args.values()), of_event=True)


class Rounds(AnyRounds):
    """What contracts/interfaces/ITrainingRounds.sol and IRoundSteps.sol document.

    Signatures are in seat order, one for each seat of the mask but the sender's (see
    `pack_signatures`). Lists of anchored values are in the order in which they were anchored.
    """

    NAME = ROUNDS

    # A round at once

    def post_round(self, request: int, record: RoundRecord, signatures: Sequence[bytes]) -> Call:
        """A whole round, signed by every expected member."""
        return self.function("postRound", request, record.fields, pack_signatures(signatures))

    # A round in batches

    def submit(
        self, request: int, mask: int, digests: Sequence[bytes], signatures: Sequence[bytes]
    ) -> Call:
        packed = pack_signatures(signatures)
        return self.function("submit", request, mask, list(digests), packed)

    def open_slice(
        self,
        request: int,
        openers: Sequence[str],
        signer: str,
        sealed_key: bytes,
        signature: bytes | None,
    ) -> Call:
        """`openers` as in the terms; `signature` of `signer`, None if it is the sender."""
        packed = b"" if signature is None else pack_signatures([signature])
        return self.function("openSlice", request, list(openers), signer, sealed_key, packed)

    def commit_votes(
        self, request: int, mask: int, commitments: Sequence[bytes], signatures: Sequence[bytes]
    ) -> Call:
        packed = pack_signatures(signatures)
        return self.function("commitVotes", request, mask, list(commitments), packed)

    def reveal_votes(
        self,
        request: int,
        anchored: Anchored,
        mask: int,
        votes: Sequence[int],
        salts: Sequence[bytes],
    ) -> Call:
        """`votes` and `salts` in seat order of the mask. The last one tallies."""
        given = (anchored.fields, mask, list(votes), list(salts))
        return self.function("revealVotes", request, *given)

    def tally(self, request: int, anchored: Anchored) -> Call:
        """Where votes are hidden or missing."""
        return self.function("tally", request, anchored.fields)

    def attest(
        self, request: int, mask: int, digest: bytes, errors: int, signatures: Sequence[bytes]
    ) -> Call:
        """`errors`: packed by seat."""
        packed = pack_signatures(signatures)
        return self.function("attest", request, mask, digest, errors, packed)

    def finalise(
        self,
        request: int,
        log: bytes,
        board: Board,
        attestations: Sequence[tuple[int, bytes, int]],
        mask: int = 0,
        digest: bytes = bytes(32),
        errors: int = 0,
        signatures: Sequence[bytes] = (),
    ) -> Call:
        """Close a round, with the attestations that were missing, as in `attest`.

        `log` and `board` of the event RoundTallied; `attestations`: seat, digest and error of all
        that are on chain.
        """
        tallied, packed = (log, board.fields), pack_signatures(signatures)
        given = (tallied, list(attestations), mask, digest, errors, packed)
        return self.function("finalise", request, *given)

    def multicall(self, calls: Sequence[Call]) -> Call:
        """Several calls of this contract in one transaction; all succeed or none."""
        action = "+".join(call.action.rpartition(".")[2] for call in calls)
        joined = self.function("multicall", [call.data for call in calls])
        return Call(joined.to, joined.data, action=f"{self.NAME}.multicall({action})")

    # Aside

    def report_equivocation(
        self,
        request: int,
        seat: int,
        kind: MessageKind,
        first: tuple[bytes, int],
        second: tuple[bytes, int],
        signatures: tuple[bytes, bytes],
    ) -> Call:
        """`first` and `second`: digest or commitment, with the error of an attestation (else 0)."""
        packed = pack_signatures(signatures)
        bodies = [_body(kind, one) for one in (first, second)]
        return self.function("reportEquivocation", request, seat, int(kind), *bodies, packed)

    def return_to(self, request: int, seat: int) -> Call:
        """Let the rounds wait for the sender again from the next one on, once a request."""
        return self.own_function("returnTo", request, seat)

    # Views

    @staticmethod
    def facts_of(struct: dict[str, Any]) -> RoundFacts:
        found = snake(struct)
        leader = found.pop("last_leader")
        return RoundFacts(
            phase=Phase(found.pop("phase")), last_leader=leader - 1 if leader else None, **found
        )

    def verify_history(
        self,
        request: int,
        terms_hash: bytes,
        starts: Sequence[Start],
        links: Sequence[Link],
        block: BlockReference = None,
    ) -> bool:
        """Whether these are the terms, the starts and exactly the rounds so far."""
        given = ([camel(one) for one in starts], [camel(one) for one in links])
        return bool(self._view("verifyHistory", request, terms_hash, *given, block=block))

    def posted_record(self, tx_hash: str, record_hash: bytes) -> RoundRecord | None:
        """The record of a RoundPosted event: from its transaction's calldata, or from an event if a
        contract posted it. None if the transaction is not known, or holds none."""
        posts = self._posts(tx_hash, "postRound", "RecordPosted")
        found = (record_of(post.args[2 if post.of_event else 1]) for post in posts)
        return next((record for record in found if record.hash == record_hash), None)


def record_of(struct: Mapping[str, Any]) -> RoundRecord:
    """A record from the codec's struct."""
    given = snake(struct)
    return RoundRecord(
        **{**given, "digests": tuple(given["digests"]), "votes": tuple(given["votes"])}
    )


def _body(kind: MessageKind, message: tuple[bytes, int]) -> bytes:
    value, error = message
    if kind is MessageKind.ATTEST:
        return encode(["bytes32", "uint16"], [value, error])
    return encode(["bytes32"], [value])


def folded(earned: bytes, entry: tuple[int, int, int, bytes]) -> bytes:
    """The running hash of what the rounds earned with one more entry (Earned.fields)."""
    kinds = ["bytes32", "uint256", "uint256", "uint256", "bytes32"]
    return keccak(encode(kinds, [earned, *entry]))
