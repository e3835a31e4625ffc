"""Every action of every actor, sent to the chain and applied to the model."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from fedpact.consensus.votes import attestation, pack_scores, vote_commitment
from fedpact.types.rounds import RequestStatus, Stage
from fedpact.types.scores import INVALID
from tests.contracts.stateful.fast_chain import FastChain
from tests.contracts.stateful.market_model import Party, Refused, RequestModel, World
from tests.contracts.stateful.round_model import RoundModel, mask_of
from tests.support.scenario import ATTRIBUTES, KEY_HASH, MANIFEST, TERMS, make_terms

SEALED_KEY = bytes(80)


def digest_of(model: RequestModel, seat: int) -> bytes:
    return keccak(text=f"model {model.rounds.request_id} {model.rounds.round} {seat}")


def global_of(model: RequestModel, variant: int = 0) -> bytes:
    return keccak(text=f"global {model.rounds.request_id} {model.rounds.round} {variant}")


class Play:
    """A chain, the world it must agree with, and the clock that both share."""

    def __init__(self, chain: FastChain, world: World, registrar: Party, now: int) -> None:
        self.chain, self.world, self.registrar, self.now = chain, world, registrar, now
        self.requests: list[RequestModel] = []
        self.agreed = True
        self.votes: dict[tuple[int, int, int], tuple[int, bytes]] = {}

    def act(
        self, expected: Callable[[], None], sender: Party, name: str, *args: Any, value: int = 0
    ) -> bool:
        """The next second's transaction: chain and model must agree on whether it is allowed."""
        self.now += 1
        self.agreed, why = False, ""
        try:
            expected()
        except Refused as refusal:
            why = str(refusal)
        taken = self.chain.send(sender.address, name, *args, value=value)
        assert taken == (not why), f"{name}{args}: taken is {taken}, the protocol says: {why}"
        self.agreed = True
        return taken

    def jump(self, to: int) -> None:
        """An empty block at `to`, unless that time has passed."""
        if to > self.now:
            self.now = to
            self.chain.mine_at(to)
            for model in self.requests:
                model.rounds.pass_to(to)

    # -- the market ------------------------------------------------------------------------------

    def create(self, party: Party, payment: int, **terms: Any) -> None:
        full = make_terms(**terms)
        number = len(self.requests) + 1

        def expected() -> None:
            if not party.active or payment == 0:
                raise Refused("no participant, or no payment")
            rounds = RoundModel(
                *(number, self.chain.chain_id, self.chain.rounds, self.world.is_active), terms=full
            )
            rounds.history = keccak(encode([TERMS], [tuple(full.values())]))
            deadline = self.now + full["joinWindow"]
            model = RequestModel(self.world, rounds, full, party, payment, deadline)
            self.requests.append(model)
            self.world.held += payment
            party.wei -= payment

        self.act(expected, party, "createRequest", tuple(full.values()), value=payment)

    def join(self, m: RequestModel, party: Party, samples: int) -> bool:
        args = (m.rounds.request_id, samples, ATTRIBUTES)
        return self.act(lambda: m.join(self.now, party, samples), party, "join", *args)

    def withdraw(self, m: RequestModel, seat: int, party: Party) -> bool:
        args = (m.rounds.request_id, seat)
        return self.act(lambda: m.withdraw(self.now, seat, party), party, "withdraw", *args)

    def start(self, m: RequestModel, seat: int, party: Party) -> bool:
        args = (m.rounds.request_id, seat, MANIFEST, KEY_HASH, m.rounds.committee)
        return self.act(
            lambda: m.start(self.now, seat, party, MANIFEST, KEY_HASH), *(party, "start", *args)
        )

    def cancel(self, m: RequestModel, party: Party) -> bool:
        return self.act(lambda: m.cancel(self.now, party), party, "cancel", m.rounds.request_id)

    def expire(self, m: RequestModel, party: Party) -> bool:
        return self.act(lambda: m.expire(self.now), party, "expire", m.rounds.request_id)

    def deliver(self, m: RequestModel, seat: int, party: Party, sealed: bytes = SEALED_KEY) -> bool:
        args = (m.rounds.request_id, seat, sealed, m.rounds.committee)
        return self.act(lambda: m.deliver(self.now, seat, party, sealed), party, "deliver", *args)

    def claim(self, m: RequestModel, seat: int, party: Party) -> bool:
        args = (m.rounds.request_id, seat)
        return self.act(lambda: m.claim(self.now, seat, party), party, "claim", *args)

    def refund(self, m: RequestModel, party: Party) -> bool:
        args = (m.rounds.request_id, m.rounds.committee)
        return self.act(lambda: m.refund(self.now, party), party, "refund", *args)

    def settle(self, m: RequestModel, party: Party) -> bool:
        args = (m.rounds.request_id, m.rounds.committee)
        return self.act(lambda: m.settle(self.now), party, "settle", *args)

    # -- the rounds ------------------------------------------------------------------------------

    def submit(self, m: RequestModel, seat: int, party: Party, digest: bytes) -> bool:
        args = (seat, party.address, digest)
        return self.act(
            lambda: m.rounds.submit(self.now, *args),
            *(party, "submit", m.rounds.request_id, seat, digest),
        )

    def open_slice(self, m: RequestModel, party: Party, digest: bytes) -> bool:
        def expected() -> None:
            if party is not m.requester:
                raise Refused("not the requester")
            m.rounds.open_slice(self.now, digest)

        return self.act(expected, party, "openSlice", m.rounds.request_id, digest)

    def commit(self, m: RequestModel, seat: int, party: Party, word: int, salt: bytes) -> bool:
        at = (m.rounds.request_id, m.rounds.round, seat)
        commitment = vote_commitment(m.rounds.ballot(party.address), word, salt)
        taken = self.act(
            lambda: m.rounds.commit(self.now, seat, party.address, commitment),
            *(party, "commitVote", m.rounds.request_id, seat, commitment),
        )
        if taken:
            self.votes[at] = (word, salt)
        return taken

    def reveal(self, m: RequestModel, seat: int, party: Party, word: int, salt: bytes) -> bool:
        return self.act(
            lambda: m.rounds.reveal(self.now, seat, party.address, word, salt),
            *(party, "revealVote", m.rounds.request_id, seat, word, salt),
        )

    def tally(self, m: RequestModel, party: Party, swapped: bool = False) -> bool:
        """`swapped`: with the accounts of the first two submitters exchanged."""
        accounts = m.rounds.committee
        if swapped and len(m.rounds.digests) > 1:
            a, b = sorted(m.rounds.digests)[:2]
            accounts[a], accounts[b] = accounts[b], accounts[a]

        def expected() -> None:
            m.rounds.tally(self.now, accounts)

        return self.act(expected, party, "tally", m.rounds.request_id, accounts)

    def attest(self, m: RequestModel, seat: int, party: Party, word: bytes, mae: int) -> bool:
        return self.act(
            lambda: m.rounds.attest(self.now, seat, party.address, word, mae),
            *(party, "attest", m.rounds.request_id, seat, word, mae),
        )

    def propose(
        self, m: RequestModel, seat: int, party: Party, digest: bytes, mae: int = 500
    ) -> bool:
        args = (m.rounds.request_id, seat, digest, mae, m.rounds.committee)
        return self.act(
            lambda: m.rounds.propose(self.now, seat, party.address, digest, mae),
            *(party, "propose", *args),
        )

    def expire_round(self, m: RequestModel, party: Party) -> bool:
        number = m.rounds.request_id
        return self.act(lambda: m.rounds.expire(self.now), party, "expireRound", number)

    # -- several at once -------------------------------------------------------------------------

    def holder(self, m: RequestModel, seat: int) -> Party:
        return self.world.of(m.rounds.seat_at(seat).account)

    def vote_of(self, m: RequestModel, seat: int, rng: random.Random, hostile: bool = True) -> int:
        """Near the models' quality; if `hostile`, sometimes random, or with all rivals invalid."""
        moods = ("honest", "honest", "honest", "wild", "invalid")
        mood = rng.choice(moods) if hostile else "honest"
        scores = {}
        for other in m.rounds.digests:
            worth = int.from_bytes(digest_of(m, other)[:2], "big") % 6_000
            scores[other] = {
                "honest": worth + rng.randrange(40),
                "wild": rng.choice((rng.randrange(10_001), INVALID)),
                "invalid": INVALID,
            }[mood]
        scores.pop(seat, None)
        return pack_scores(scores)

    def crowd(
        self, m: RequestModel, absent: set[int], rng: random.Random, hostile: bool = True
    ) -> None:
        """Every seat that is not absent acts in the present phase."""
        rounds = m.rounds
        rounds.pass_to(self.now + 1)
        phase, present = rounds.phase, sorted(rounds.members - absent)
        for seat in present:
            if rounds.phase is not phase:
                break
            party = self.holder(m, seat)
            if phase is Stage.SUBMIT and seat not in rounds.digests:
                # Barred seats try too.
                self.submit(m, seat, party, digest_of(m, seat))
            elif phase is Stage.COMMIT and seat in rounds.digests:
                salt = rng.randbytes(32)
                if seat not in rounds.commitments:
                    self.commit(m, seat, party, self.vote_of(m, seat, rng, hostile), salt)
            elif phase is Stage.REVEAL and seat in rounds.commitments:
                if seat not in rounds.words:
                    at = (rounds.request_id, rounds.round, seat)
                    self.reveal(m, seat, party, *self.votes[at])
            elif phase is Stage.ATTEST and seat in set(rounds.words) - set(rounds.attested):
                mae = rng.choice((300, 700, INVALID))
                word = attestation(rounds.ballot(party.address), global_of(m), mae)
                self.attest(m, seat, party, word, mae)
        if phase is Stage.TALLY:
            self.tally(m, rng.choice(self.world.parties))
        elif phase is Stage.EXPIRED:
            self.expire_round(m, rng.choice(self.world.parties))

    def finish(self, m: RequestModel, anyone: Party) -> None:
        """Ends a request by deadlines and calls open to outsiders, in at most eight steps."""
        rounds = m.rounds
        for _ in range(8):
            if m.shown is RequestStatus.OPEN:
                turns = max(m.start_deadline(len(rounds.members)), m.join_deadline)
                self.jump(turns)
                assert self.expire(m, anyone)
            elif m.shown is not RequestStatus.RUNNING:
                break
            elif rounds.phase is Stage.TALLY:
                assert self.tally(m, anyone)
            elif rounds.phase is Stage.EXPIRED:
                assert self.expire_round(m, anyone)
            else:
                self.jump(rounds.deadline + 1)
        over = (RequestStatus.ENDED, RequestStatus.DELIVERED, RequestStatus.CANCELLED)
        assert m.shown in over, f"{m.shown.name} in phase {rounds.phase.name} after eight steps"
        if m.shown is RequestStatus.ENDED:
            self.jump(m.deliver_deadline + 1)
            if not m.settled:
                assert self.settle(m, anyone)
        assert m.decided(self.now)

    def pay_out(self, m: RequestModel) -> int:
        """Everybody claims from a finished request. Returns the remainder (wei)."""
        for seat in sorted(m.rounds.members):
            if m.claimable(seat):
                assert self.claim(m, seat, self.holder(m, seat))
        if m.refundable(self.now):
            assert self.refund(m, m.requester)
        left = m.payment - sum(m.claimed.values()) - (m.refunded or 0)
        assert 0 <= left < max(1, mask_of(m.rounds.ever).bit_count())
        return left
