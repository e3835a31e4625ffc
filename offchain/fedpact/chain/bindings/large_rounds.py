"""LargeRounds: rounds in which a whole pool trains and a committee judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedpact.chain.abi import LARGE
from fedpact.chain.bindings.binding import snake
from fedpact.chain.bindings.rounds import AnyRounds, Post
from fedpact.chain.records import BlockReference, Call
from fedpact.chain.signed_messages import LargeRecord, pack_signatures
from fedpact.types.requests import LargeFacts, Phase

InclusionFields = tuple[Sequence[int], Sequence[bytes], Sequence[bool]]
"""Indices, proof, flags: fedpact.consensus.large_rounds.Inclusion.fields."""


class LargeRounds(AnyRounds):
    """What contracts/interfaces/ILargeRounds.sol documents."""

    NAME = LARGE

    def draw(self, request: int, header: bytes) -> Call:
        """Fix the committee on chain. `header`: of the block that draws it (RLP), see
        `chain.headers`."""
        return self.function("draw", request, header)

    def force(self, request: int, index: int, digest: bytes) -> Call:
        """The sender's model, by its pool index, once a round; the committee must be drawn."""
        return self.own_function("force", request, index, digest)

    def post(
        self,
        request: int,
        record: LargeRecord,
        forced: InclusionFields,
        mask: int,
        signatures: Sequence[bytes],
        header: bytes,
    ) -> Call:
        """A whole round, signed by the seats of the mask; one signature for each but the sender.

        `forced`: that all forced models are in the tree; `header`: as in `draw`, empty once that
        was called.
        """
        packed = pack_signatures(signatures)
        given = (record.fields, list(record.points), forced, mask, packed, header)
        return self.function("post", request, *given)

    def sum(self, request: int, points: Sequence[Sequence[int]]) -> Call:
        """Add up the points of all rounds that gave any, in their order (phase FINALISE)."""
        return self.function("sum", request, [list(one) for one in points])

    # Views

    @staticmethod
    def facts_of(struct: dict[str, Any]) -> LargeFacts:
        found = snake(struct)
        return LargeFacts(
            phase=Phase(found.pop("phase")),
            size=0,
            expected=0,
            submitted=0,
            revealed=0,
            acted=0,
            voided=0,
            returning=0,
            last_leader=None,
            slice_opened=False,
            reopened=False,
            blind=False,
            drawn=True,
            log=bytes(32),
            **found,
        )

    def draw_delay(self, block: BlockReference = None) -> int:
        """How many blocks after its opening the block comes that draws a round's committee."""
        return int(self._view("drawDelay", block=block))

    def forced_model(self, request: int, index: int, block: BlockReference = None) -> bytes | None:
        """The digest that a member forced into the present round; None: none."""
        found = bytes(self._view("forcedModel", request, index, block=block))
        return found if any(found) else None

    def posted_record(self, tx_hash: str, record_hash: bytes) -> LargeRecord | None:
        """The record of a RoundPosted event: from its transaction's calldata, or from an event if a
        contract posted it. None if the transaction is not known, or holds none."""
        posts = self._posts(tx_hash, "post", "LargeRecordPosted")
        return next((one for one in map(_record_in, posts) if one.hash == record_hash), None)


def _record_in(post: Post) -> LargeRecord:
    record, points = post.args[2 if post.of_event else 1 :][:2]
    return large_record_of(record, points)


def large_record_of(struct: Mapping[str, Any], points: Sequence[int]) -> LargeRecord:
    """A record from the codec's struct, and its words of points."""
    return LargeRecord(**snake(struct), points=tuple(points))
