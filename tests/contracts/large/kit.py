"""Drives a request whose whole pool trains, over the real contracts.

Member i of `members` has organisation 100 + i, and index i in the pool. Three of twelve are drawn
to judge a round; the others train.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from eth_utils import keccak

from fedpact.chain.headers import encoded
from fedpact.chain.signed_messages import LargeRecord, pack_signatures
from fedpact.consensus import draw
from fedpact.consensus.large_rounds import Inclusion, SubmissionTree, words
from tests.contracts.rounds.kit import SUBMIT, Rounds, mask_of
from tests.contracts.rounds.kit import pack as pack_errors
from tests.support.chainkit import address_of, events

MEMBERS = 12
COMMITTEE = 3
DRAW_DELAY = 4
"""Blocks."""
EVIDENCE = keccak(text="evidence")


class LargeRounds(Rounds):
    """One request and what its members do."""

    def __init__(self, *args: Any, **terms: Any) -> None:
        super().__init__(*args, **{"cohort": COMMITTEE, "minPool": COMMITTEE + 1, **terms})
        self.posted: list[tuple[int, ...]] = []
        """The points of the rounds that gave any, as they were posted."""
        self.forced: dict[int, bytes] = {}
        self._facts: tuple[int, Any] | None = None
        self._drawn: tuple[tuple[bytes, int], bytes] | None = None
        """The last seed and block that were asked for, and what they draw."""

    def note(self, receipt: Any) -> None:
        for event in events(self.on.rounds, "Credited", receipt):
            fields = ("cohort", "points", "extra", "digest")
            self.earned.append(tuple(event[field] for field in fields))  # type: ignore[arg-type]
        for event in events(self.on.rounds, "ModelForced", receipt):
            self.forced[event["index"]] = event["digest"]
        if events(self.on.rounds, "RoundOpened", receipt):
            self.forced = {}

    # -- facts ----------------------------------------------------------------------------------

    @property
    def facts(self) -> Any:
        if self._facts is None or self._facts[0] != self.chain.version:
            found = super().facts
            self._facts = (self.chain.version, found)
        return self._facts[1]

    # -- the draw -------------------------------------------------------------------------------

    def block(self, number: int | str) -> dict[str, Any]:
        """As a node gives it."""
        wanted = number if isinstance(number, str) else hex(number)
        found: dict[str, Any] = self.chain.rpc("eth_getBlockByNumber", wanted, False)
        return found

    def await_block(self) -> None:
        """Mines blocks, a second apart, until the one is there that draws the committee."""
        missing = self.facts.drawBlock - int(self.chain.w3.eth.block_number)
        if missing > 0:
            self.chain.rpc("anvil_mine", hex(missing))

    @property
    def header(self) -> bytes:
        """Of the block that draws the committee; empty: it is drawn."""
        number = self.facts.drawBlock
        return encoded(self.block(number)) if number else b""

    def draw(self, header: bytes | None = None) -> Any:
        self.await_block()
        return self.send(self.stranger, "draw", self.header if header is None else header)

    @property
    def seed(self) -> bytes:
        """Of the present committee, as soon as its block is there: waits for that."""
        facts = self.facts
        if not facts.drawBlock:
            return bytes(facts.seed)
        place = (bytes(facts.seed), facts.drawBlock)
        if self._drawn is None or self._drawn[0] != place:
            self.await_block()
            mix = int(self.block(facts.drawBlock)["mixHash"], 16)
            self._drawn = (place, draw.next_seed(facts.seed, mix))
        return self._drawn[1]

    @property
    def judges(self) -> list[int]:
        """The pool index of each seat, by the mirror of the draw."""
        weights = [1] * len(self.members)
        return list(draw.cohort(self.seed, weights, self.terms["cohort"]))

    @property
    def trainers(self) -> list[int]:
        judges = self.judges
        return [index for index in range(len(self.members)) if index not in judges]

    # -- a round --------------------------------------------------------------------------------

    def force(self, index: int, digest: bytes | None = None, sender: Any = None) -> Any:
        """After the draw, if nobody has drawn yet."""
        digest = self.digest(index) if digest is None else digest
        if self.facts.drawBlock:
            self.draw()
        return self.send(sender or self.members[index], "force", index, digest)

    def models(self) -> dict[int, bytes]:
        """Of all trainers; those that were forced in are as they were forced."""
        return {index: self.digest(index) for index in self.trainers} | self.forced

    def points_of_round(self, trainer: int = 80, judge: int = 5) -> list[int]:
        judges = self.judges
        return [judge if index in judges else trainer for index in range(len(self.members))]

    def large_record(
        self,
        points: Sequence[int] | None = None,
        models: Mapping[int, bytes] | None = None,
        error: int = 900,
        **changes: Any,
    ) -> LargeRecord:
        points = self.points_of_round() if points is None else points
        seats = range(len(self.judges))
        record = LargeRecord(
            SubmissionTree(self.models() if models is None else models).root,
            EVIDENCE,
            self.global_digest if any(points) else bytes(32),
            pack_errors(dict.fromkeys(seats, error)),
            False,
            tuple(words(points, self.judges)),
        )
        return replace(record, **changes)

    def inclusion(self, indices: Collection[int] | None = None) -> Inclusion:
        """Of those that forced."""
        indices = self.forced if indices is None else indices
        return SubmissionTree(self.models()).inclusion(indices)

    def post_large(
        self,
        record: LargeRecord | None = None,
        seats: Sequence[int] | None = None,
        *,
        forced: Inclusion | None = None,
        signers: Sequence[Any] | None = None,
        history: bytes | None = None,
        header: bytes | None = None,
        sender: Any = None,
        early: bool = False,
        send: bool = True,
    ) -> Any:
        """By a stranger, with the signatures of these seats (all); waits for the end of the
        submissions unless it is to be early. `header`: unless it is what `post` needs."""
        record, facts = record or self.large_record(), self.facts
        seats = range(len(self.seats)) if seats is None else seats
        sender = sender or self.stranger
        message = self.domain.large_round(self.id, facts.round, history or facts.history, record)
        packed = pack_signatures(
            bytes(one.sign_message(message).signature)
            for one in (signers or [self.seats[seat] for seat in seats])
            if address_of(one) != address_of(sender)
        )
        inclusion = self.inclusion() if forced is None else forced
        signed = (mask_of(seats), packed, self.header if header is None else header)
        args = (record.fields, list(record.points), inclusion.fields, *signed)
        if not send:
            return args
        if not early and facts.phase == SUBMIT:
            self.chain.next_at(facts.deadline + 1)
        receipt = self.send(sender, "post", *args)
        if any(record.points):
            self.posted.append(record.points)
        return receipt

    def close_large(self) -> Any:
        """Once nobody has posted in time."""
        windows = ("commitWindow", "revealWindow", "attestWindow")
        wait = self.facts.deadline + sum(self.terms[name] for name in windows) + 1
        self.chain.next_at(wait)
        return self.close()

    def sum(self, points: Sequence[Sequence[int]] | None = None) -> Any:
        lists = self.posted if points is None else points
        return self.send(self.stranger, "sum", [list(one) for one in lists])
