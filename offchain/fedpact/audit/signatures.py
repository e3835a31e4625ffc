"""Checks that members and openers said themselves what was posted in their names."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from eth_account.messages import SignableMessage

from fedpact.audit.chain import Asked, Facts, require_asked
from fedpact.audit.replay_round import Played, Seats, play
from fedpact.audit.report import counted, require
from fedpact.audit.request_events import Evidence, RoundEvidence
from fedpact.audit.rounds import RoundChecks
from fedpact.chain.abi import ROUNDS
from fedpact.chain.bindings.events import (
    Attested,
    ModelsSubmitted,
    Place,
    SliceOpened,
    VotesCommitted,
    VotesRevealed,
)
from fedpact.chain.bindings.rounds import record_of
from fedpact.chain.signed_messages import Domain
from fedpact.types.requests import seats_of
from fedpact.types.scores import lane


class SaidChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable.

    Everything is in the calldata of the transactions: a signature, or the sender is the member.
    """

    def __init__(self, evidence: Evidence, facts: Facts, rounds: RoundChecks) -> None:
        self._e = evidence
        self._facts = facts
        self._rounds = rounds
        here = facts.deployment
        self._domain = Domain(here.chain_id, here.rounds)

    def submissions(self) -> str:
        """Each model's digest came from the member itself, by its signature or transaction; those
        of a round differ."""
        count = 0
        for one, seats in self._rounds.all():
            digests: dict[int, bytes] = {}
            for step in one.steps:
                if not isinstance(step, ModelsSubmitted):
                    continue
                at = f"{one.name}: the submission in {step.at.tx_hash}"
                members = self._members(step.mask, seats, at)
                require(not set(members) & set(digests), f"{at} is of a member that had submitted")
                digests.update(zip(members, step.digests, strict=True))
                self._signed(
                    step.at,
                    "submit",
                    (step.mask, tuple(step.digests)),
                    [
                        (seats.account(seat), self._domain.model(*self._at(one), digest))
                        for seat, digest in zip(members, step.digests, strict=True)
                    ],
                )
            models = self._played_digests(one, digests)
            require(
                len(set(models.values())) == len(models),
                f"{one.name}: two members submitted the same digest",
            )
            count += len(models)
        return f"{counted(count, 'model')} in {counted(len(self._e.rounds), 'round')}"

    def slices(self) -> str:
        """The slice's key came from the requester or an opener that the terms name."""
        openers = {self._e.requester, *self._e.terms.openers}
        count = 0
        for one in self._e.rounds:
            for step in one.steps:
                if not isinstance(step, SliceOpened):
                    continue
                count += 1
                asked = self._asked(step.at, "openSlice", step.sealed_key, itemgetter(3))
                signer, packed = asked.args[2], asked.args[4]
                require(signer in openers, f"{one.name}: {signer} may not open the slice")
                message = self._domain.slice(*self._at(one), step.sealed_key)
                failing = self._facts.all_sign([(signer, message)], asked.sender, packed, step.at)
                require(failing is None, f"{one.name}: {signer} did not sign the slice's key")
        posted = sum(one.posted is not None for one in self._e.rounds)
        return f"{count} opened on chain, {posted} in posted rounds"

    def commitments(self) -> str:
        """Each commitment came from its member, and each opened vote, with its salt, is what the
        member had committed to."""
        count = 0
        for one, seats in self._rounds.all():
            held: dict[int, bytes] = {}
            for step in one.steps:
                if isinstance(step, VotesCommitted):
                    at = f"{one.name}: the commitments in {step.at.tx_hash}"
                    members = self._members(step.mask, seats, at)
                    held.update(zip(members, step.commitments, strict=True))
                    self._signed(
                        step.at,
                        "commitVotes",
                        (step.mask, tuple(step.commitments)),
                        [
                            (seats.account(seat), self._domain.vote(*self._at(one), value))
                            for seat, value in zip(members, step.commitments, strict=True)
                        ],
                    )
                if isinstance(step, VotesRevealed):
                    count += self._opened(one, seats, step, held)
        return f"{counted(count, 'vote')} opened on chain"

    def records(self) -> str:
        """All members that count have signed each round that was posted as a whole."""
        count = 0
        for one in self._e.rounds:
            posted = one.posted
            if posted is None:
                continue
            record = self._rounds.record(one)
            require(
                record is not None,
                f"{one.name}: transaction {posted.at.tx_hash} shows no record with the hash"
                f" 0x{posted.record.hex()}",
            )
            assert record is not None
            played = self._rounds.played[one.number]
            before = self._before(one)
            known = before.judged
            require(
                posted.mask in (known, known | before.expected & ~before.voided),
                f"{one.name}: seats {seats_of(posted.mask)} signed; it waited for"
                f" {seats_of(before.expected)}, and {seats_of(known)} had submitted",
            )
            members = self._members(posted.mask, played.seats, one.name)
            require(
                len(record.digests) == len(record.votes) == len(members),
                f"{one.name}: the record names {len(record.digests)} models and"
                f" {len(record.votes)} votes of {len(members)} members",
            )
            message = self._domain.round(*self._at(one), one.opened.history, record)
            asked = self._asked(posted.at, "postRound", posted.record, _record_hash)
            accounts = [(played.seats.account(seat), message) for seat in members]
            failing = self._facts.all_sign(accounts, asked.sender, asked.args[2], posted.at)
            require(
                failing is None,
                f"{one.name}: {accounts[failing or 0][0]} did not sign the record",
            )
            count += 1
        return f"{counted(count, 'round')} posted as a whole"

    def attestations(self) -> str:
        """Each attestation on chain came from its member."""
        count = 0
        for one, seats in self._rounds.all():
            for step in one.steps:
                if isinstance(step, Attested):
                    count += self._attested(one, seats, step)
        return f"{count} attested on chain"

    # ------------------------------------------------------------------ parts

    def _before(self, one: RoundEvidence) -> Played:
        """A posted round as it stood before it was posted."""
        steps = [step for step in one.steps if step is not one.posted]
        earlier = RoundEvidence(one.opened, steps)
        return play(earlier, self._e, self._rounds.played[one.number].seats, None, None)

    def _played_digests(self, one: RoundEvidence, on_chain: dict[int, bytes]) -> dict[int, bytes]:
        posted, record = one.posted, self._rounds.record(one)
        if posted is None or record is None:
            return on_chain
        return dict(zip(seats_of(posted.mask), record.digests, strict=False))

    def _opened(
        self, one: RoundEvidence, seats: Seats, step: VotesRevealed, held: dict[int, bytes]
    ) -> int:
        at = f"{one.name}: the votes in {step.at.tx_hash}"
        members = self._members(step.mask, seats, at)
        given = (step.mask, tuple(step.votes))
        asked = self._asked(step.at, "revealVotes", given, itemgetter(slice(2, 4)))
        for seat, vote, salt in zip(members, step.votes, asked.args[4], strict=True):
            account = seats.account(seat)
            opens = self._domain.commitment(*self._at(one), account, vote, salt)
            require(
                opens == held.get(seat),
                f"{one.name}: the vote of seat {seat} is not the one committed to",
            )
        return len(members)

    def _attested(self, one: RoundEvidence, seats: Seats, step: Attested) -> int:
        members = self._members(step.mask, seats, f"{one.name}: the attestations")
        messages = []
        for seat in members:
            error = lane(step.errors, seat)
            said = self._domain.attest(*self._at(one), step.digest, error)
            messages.append((seats.account(seat), said))
        given = (step.mask, step.digest, step.errors)
        # As the last step of the round or before it: the arguments end alike.
        function = next(
            one
            for one in ("attest", "finalise")
            if one == "finalise" or self._fitting(step.at, one, given, itemgetter(slice(-4, -1)))
        )
        self._signed(step.at, function, given, messages)
        return len(members)

    def _signed(
        self,
        at: Place,
        function: str,
        values: tuple[Any, ...],
        messages: Sequence[tuple[str, SignableMessage]],
    ) -> None:
        """Require that each account signed its message in the call with these values, or sent it.

        `values`: the function's last arguments before the signatures.
        """
        asked = self._asked(at, function, values, itemgetter(slice(-1 - len(values), -1)))
        failing = self._facts.all_sign(messages, asked.sender, asked.args[-1], at)
        require(
            failing is None,
            f"{messages[failing or 0][0]} did not sign what transaction {at.tx_hash} gives as its"
            f" own ({function})",
        )

    def _asked(
        self, at: Place, function: str, given: Any, part: Callable[[Sequence[Any]], Any]
    ) -> Asked:
        """The call of a transaction of which this part of the arguments is what an event gives."""
        return require_asked(self._fitting(at, function, given, part), at, function)

    def _fitting(
        self, at: Place, function: str, given: Any, part: Callable[[Sequence[Any]], Any]
    ) -> list[Asked]:
        calls = self._facts.asked(at, ROUNDS, function)
        return [one for one in calls if _plain(part(one.args)) == given]

    def _members(self, mask: int, seats: Seats, what: str) -> list[int]:
        require(not mask & ~seats.full, f"{what} name seats that nobody has: {mask:#x}")
        return seats_of(mask)

    def _at(self, one: RoundEvidence) -> tuple[int, int]:
        return self._e.request_id, one.number


def _plain(value: Any) -> Any:
    """Sequences as tuples, to compare them."""
    return tuple(_plain(one) for one in value) if isinstance(value, list | tuple) else value


def _record_hash(args: Sequence[Any]) -> bytes:
    return record_of(args[1]).hash
