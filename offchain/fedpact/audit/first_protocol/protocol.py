"""Checks that need only the chain: terms, votes, tally, leaders, attestations, history."""

from typing import TYPE_CHECKING

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.audit.first_protocol.commitments import Ballot, approves, vote_commitment
from fedpact.audit.first_protocol.evidence import Evidence, RoundEvidence
from fedpact.audit.first_protocol.tally import (
    LEADER_POINTS,
    RoundTally,
    history_of_start,
    history_with_model,
    history_with_tally,
    tally,
)
from fedpact.audit.report import Unavailable, require
from fedpact.chain.bindings.first_protocol.structs import RequestStatus, RoundState
from fedpact.consensus.leader import (
    Candidate,
    approvals_needed,
    by_weighted_error,
    capped_weights,
    lot,
)
from fedpact.errors import InvalidInput
from fedpact.types.requests import LeaderRule, mask_of, seats_of
from fedpact.types.scores import INVALID, MAX_SEATS, median_error, pack_scores

if TYPE_CHECKING:
    from fedpact.audit.first_protocol.chain import ChainFacts

POINT_LANE_BITS = 16
MAX_FAULTS = 255
TERMS_TYPES = (
    *("bytes32",) * 4,
    *("uint16",) * 3,
    *("uint8",) * 4,
    "uint16",
    *("uint32",) * 7,
)
"""Of the contract's Terms, in the order of the fields of `structs.Terms`."""


class ProtocolChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(self, evidence: Evidence, facts: "ChainFacts") -> None:
        self._e = evidence
        self._facts = facts
        self._state: RoundState = facts.state
        self._seats = facts.state.seats
        self._tallies: dict[int, RoundTally] = {}

    def submissions(self) -> str:
        """Every digest came from the seat's own account and is unique; the seat was not barred."""
        self._need_rounds()
        count = 0
        for one in self._e.rounds:
            at = f"round {one.number}"
            for seat, owner in one.owners.items():
                holder = one.accounts.get(seat)
                require(owner == holder, f"{at}: seat {seat} is {holder}'s, {owner} submitted")
                require(not one.barred >> seat & 1, f"{at}: seat {seat} was barred")
            require(
                len(set(one.digests.values())) == len(one.digests),
                f"{at}: two seats submitted the same digest",
            )
            count += len(one.digests)
        return f"{count} models in {len(self._e.rounds)} rounds"

    def commitments(self) -> str:
        """Every revealed vote, with the salt in its transaction, opens its commitment."""
        self._need_rounds()
        count = 0
        for one in self._e.rounds:
            for seat, vote in one.votes.items():
                salt = self._facts.salt(vote.tx_hash, seat, vote.word)
                ballot = self._ballot(one, seat)
                require(
                    vote_commitment(ballot, vote.word, salt) == one.commitments.get(seat),
                    f"round {one.number}: the vote of seat {seat} is not the one committed to",
                )
                count += 1
        return f"{count} votes"

    def medians(self) -> str:
        """The medians are those of the others' revealed votes."""
        for one in self._tallied():
            assert one.tally is not None
            computed = _packed(self._tally(one).medians, one.submitted)
            require(
                computed == one.tally.medians,
                f"round {one.number}: {one.tally.medians:#x} on chain, {computed:#x} computed",
            )
        return f"{len(self._e.tallied)} rounds"

    def included(self) -> str:
        """The valid and the included models follow from the medians."""
        excluded = 0
        for one in self._tallied():
            assert one.tally is not None
            computed = self._tally(one)
            require(
                (computed.valid, computed.included) == (one.tally.valid, one.tally.included),
                f"round {one.number}: valid {one.tally.valid:#x}, included "
                f"{one.tally.included:#x} on chain; {computed.valid:#x}, {computed.included:#x} "
                "computed",
            )
            excluded += (one.submitted & ~computed.included).bit_count()
        return f"{excluded} models left out"

    def points(self) -> str:
        """Each tally gave the points that follow from the votes, and storage holds their sum."""
        totals = [0] * self._seats
        for one in self._tallied():
            assert one.tally is not None
            computed = self._tally(one).points
            given = [one.tally.points >> POINT_LANE_BITS * s & 0xFFFF for s in range(self._seats)]
            require(
                list(computed) == given,
                f"round {one.number}: {given} on chain, {list(computed)} computed",
            )
            totals = [total + own for total, own in zip(totals, computed, strict=True)]
            if one.final is not None:
                totals[one.final.leader] += LEADER_POINTS
        stored = list(self._facts.points)[: self._seats]
        require(totals == stored, f"{stored} in storage, {totals} added up")
        return f"{totals}"

    def faults(self) -> str:
        """Each seat has one fault for every time that it was silent, hid a vote, voted far off or
        did not propose."""
        self._need_rounds()
        totals = [0] * self._seats
        ever = 0
        for one in self._e.rounds:
            ever |= one.submitted
            silent = ever & one.expected & ~one.submitted
            masks = []
            if one.tally is not None:
                hidden = mask_of(one.commitments) & ~one.revealed
                computed = hidden | self._tally(one).adverse | silent
                self._same_faults(one, one.tally.faults, computed)
                masks.append(computed)
            if one.final is not None:
                masks.append(one.final.passed)
            if one.expired_faults is not None:
                late = self._tally(one).leaders if one.tally else silent
                self._same_faults(one, one.expired_faults, late)
                masks.append(late)
            for mask in masks:
                for seat in seats_of(mask):
                    totals[seat] = min(totals[seat] + 1, MAX_FAULTS)
        stored = list(self._facts.faults)[: self._seats]
        require(totals == stored, f"{stored} in storage, {totals} added up")
        return f"{totals}"

    def leader_order(self) -> str:
        """Each leader had its turn according to the order of leaders."""
        finals = self._finals()
        last: int | None = None
        for one in finals:
            assert one.final is not None
            assert one.tally is not None
            order = self._order(one, last)
            leader = one.final.leader
            require(leader in order, f"round {one.number}: seat {leader} may not lead")
            rank = order.index(leader)
            passed = mask_of(order[:rank])
            require(
                passed == one.final.passed,
                f"round {one.number}: order {order}; seats {seats_of(one.final.passed)} were "
                f"passed over for seat {leader}",
            )
            opened = self._facts.timestamp(one.tally.block) + rank * self._e.terms.propose_window
            proposed = self._facts.timestamp(one.final.block)
            require(proposed >= opened, f"round {one.number}: seat {leader} proposed too early")
            last = leader
        return "leaders " + ", ".join(str(one.final.leader) for one in finals if one.final)

    def attestations(self) -> str:
        """Each round became final with enough matching attestations and their median error."""
        finals = self._finals()
        for one in finals:
            assert one.final is not None
            final = one.final
            matching = {
                seat: mae
                for seat, (word, mae) in one.attestations.items()
                if approves(self._ballot(one, seat), seat, word, mae, final.digest)
            }
            require(
                mask_of(matching) == final.approvals,
                f"round {one.number}: approvals {final.approvals:#x}, "
                f"{mask_of(matching):#x} attestations match",
            )
            needed = approvals_needed(
                one.revealed.bit_count(), one.expected.bit_count(), self._e.terms.approval_rule
            )
            require(
                len(matching) >= needed and final.leader in matching,
                f"round {one.number}: {len(matching)} of {needed} approvals",
            )
            mae = median_error(list(matching.values()))
            require(mae == final.mae, f"round {one.number}: error {final.mae}, median {mae}")
        return f"{len(finals)} rounds"

    def history(self) -> str:
        """Terms, keys, submissions and tallies give the running hash that is in storage."""
        fields = vars(self._e.terms).values()
        values = [int(f) if not isinstance(f, bytes) else f for f in fields]
        running = keccak(encode(TERMS_TYPES, values))
        if self._e.manifest is not None and self._e.key_hash is not None:
            running = history_of_start(running, self._e.manifest, self._e.key_hash)
        for one in self._e.rounds:
            for seat, digest in one.digests.items():
                running = history_with_model(running, one.number, seat, digest)
            if one.tally is not None:
                votes = [one.votes[seat].word for seat in seats_of(one.revealed)]
                medians = self._tally(one).medians
                running = history_with_tally(running, one.number, one.revealed, votes, medians)
        stored = self._state.history
        require(running == stored, f"0x{stored.hex()} is stored, 0x{running.hex()} computed")
        return f"0x{stored.hex()}"

    def outcome(self) -> str:
        """The request ended when it should have, with the last final model and its makers."""
        ended = self._e.ended
        if ended is None:
            raise Unavailable("the rounds have not ended yet")
        finals = self._e.finals
        last = finals[-1].final if finals else None
        target = self._e.terms.target
        reached = last is not None and target != 0 and last.mae <= target
        require(
            ended["reached"] == reached, f"target reached: {ended['reached']}, by error {reached}"
        )
        require(ended["finalRounds"] == len(finals), f"{ended['finalRounds']} final rounds counted")
        digest = last.digest if last is not None else bytes(32)
        require(self._state.final_digest == digest, "the final digest is not the last proposal's")
        delivered = self._facts.record.status is RequestStatus.DELIVERED
        shared, sealed = self._e.shared is not None, bool(self._e.deliveries)
        require(shared == delivered, f"delivered: {delivered}, but a model was shared: {shared}")
        require(sealed == delivered, f"delivered: {delivered}, but a key was sealed: {sealed}")
        if self._e.shared is not None:
            makers = mask_of(s for s, points in enumerate(self._facts.points) if points)
            require(bytes(self._e.shared["finalDigest"]) == digest, "another model was shared")
            require(self._e.shared["contributors"] == makers, "other contributors were recorded")
        return f"{len(finals)} final rounds, target {'reached' if reached else 'not reached'}"

    def _ballot(self, one: RoundEvidence, seat: int) -> Ballot:
        deployment = self._facts.deployment
        return Ballot(
            deployment.chain_id,
            deployment.rounds,
            self._e.request_id,
            one.number,
            one.accounts[seat],
        )

    def _tally(self, one: RoundEvidence) -> RoundTally:
        if one.number not in self._tallies:
            terms = self._e.terms
            words = {seat: vote.word for seat, vote in one.votes.items()}
            try:
                self._tallies[one.number] = tally(
                    words, one.submitted, self._seats, terms.max_error, terms.vote_band
                )
            except InvalidInput as error:
                raise Unavailable(f"round {one.number}: {error}") from error
        return self._tallies[one.number]

    def _order(self, one: RoundEvidence, last: int | None) -> list[int]:
        computed = self._tally(one)
        weights = capped_weights({seat: self._e.seats[seat][1] for seat in seats_of(one.submitted)})
        candidates = [
            Candidate(
                seat,
                one.accounts[seat],
                computed.medians[seat],
                weights[seat],
            )
            for seat in seats_of(computed.leaders)
        ]
        if self._e.terms.leader_rule is LeaderRule.POQ:
            return by_weighted_error(candidates, one.number, sum(weights.values()))

        def by_reputation(candidate: Candidate) -> tuple[bool, int, bytes]:
            """Descending, the last leader at the end."""
            reputation = self._facts.members[candidate.seat].reputation
            return candidate.seat == last, -reputation, lot(one.number, candidate.account)

        return [candidate.seat for candidate in sorted(candidates, key=by_reputation)]

    def _same_faults(self, one: RoundEvidence, chain: int, computed: int) -> None:
        require(
            chain == computed,
            f"round {one.number}: seats {seats_of(chain)} on chain, {seats_of(computed)} computed",
        )

    def _need_rounds(self) -> None:
        if not self._e.rounds:
            raise Unavailable("the request has not started")

    def _tallied(self) -> list[RoundEvidence]:
        if not self._e.tallied:
            raise Unavailable("no round was tallied")
        return self._e.tallied

    def _finals(self) -> list[RoundEvidence]:
        if not self._e.finals:
            raise Unavailable("no round is final")
        return self._e.finals


def _packed(medians: tuple[int, ...], submitted: int) -> int:
    """As the contract packs them: INVALID in every lane without a model."""
    lanes = dict.fromkeys(range(MAX_SEATS), INVALID)
    return pack_scores(lanes | {seat: medians[seat] for seat in seats_of(submitted)})
