"""What registrar, outsiders and the clock do; `finish` ends a request with these alone."""

from __future__ import annotations

from copy import deepcopy

from eth_utils import keccak
from hypothesis import strategies as st
from hypothesis.stateful import rule

from fedpact.types.rounds import RequestStatus, Stage
from tests.contracts.stateful.draws import ANYONE, NUMBERS, PROVIDERS
from tests.contracts.stateful.life import Life
from tests.contracts.stateful.market_model import Refused
from tests.contracts.stateful.play import Play


class OutsideRules(Life):
    """Suspensions, calls that are not allowed, forced ether, time."""

    @rule(who=st.integers(0, PROVIDERS), by=st.sampled_from([0, 0, 1, 8]))
    def suspend_or_restore(self, who: int, by: int) -> None:
        """By the registrar, or by an account that is not."""
        party, name = self.party(who), "suspend" if self.party(who).active else "restore"

        def expected() -> None:
            if by:
                raise Refused("not the registrar")
            party.active = not party.active

        sender = self.party(by) if by else self.registrar_party
        self.play.act(expected, sender, name, party.address)

    @rule(number=NUMBERS, what=st.integers(0, 3), by=ANYONE)
    def outsider_calls_inner_functions(self, number: int, what: int, by: int) -> None:
        m, party = self.pick(number), self.party(by)
        name, *args = [
            ("enlist", m.rounds.request_id, party.address, 1, 9, 10_000),
            ("unseat", m.rounds.request_id, 0, party.address),
            ("halt", m.rounds.request_id),
            ("admit", self.stranger.address, 9, keccak(b"key"), bytes(32), bytes(32)),
        ][what]

        def expected() -> None:
            raise Refused("only the contracts, or the registrar")

        self.play.act(expected, party, name, *args)

    @rule(wei=st.integers(1, 10**18), days=st.integers(0, 90))
    def ether_is_forced_and_time_flies(self, wei: int, days: int) -> None:
        self.world.forced += wei
        held = self.world.held + self.world.forced
        self.chain.rpc("anvil_setBalance", self.chain.market, hex(held))
        if days > 80:
            self.play.jump(self.play.now + days * 24 * 3600)

    @rule(number=NUMBERS, edge=st.integers(0, 4), step=st.sampled_from([-2, -1, -1, 0, 1]))
    def time_passes(self, number: int, edge: int, step: int) -> None:
        """Close to a deadline, so that the next action is just in time, or just too late."""
        m = self.pick(number)
        joined = len(m.rounds.members)
        delivery = m.deliver_deadline if m.rounds.phase is Stage.ENDED else 0
        edges = [
            m.rounds.deadline,
            m.rounds.deadline,
            m.join_deadline if m.status is RequestStatus.OPEN else m.rounds.deadline,
            m.start_deadline(joined) if m.status is RequestStatus.OPEN else m.rounds.deadline,
            delivery - (m.terms["deliverWindow"] if step else 0),
        ]
        self.play.jump(edges[edge] + step)

    @rule(number=NUMBERS, sample=st.integers(0, 2))
    def finish(self, number: int, sample: int) -> None:
        """Ends one request from its present state, checks it, and reverts the chain to go on."""
        if sample:
            return
        snapshot, now = self.chain.rpc("evm_snapshot"), self.play.now
        number %= len(self.play.requests)
        kept = _copy(self.play)
        self.play.finish(self.pick(number), self.stranger)
        self.agrees()
        assert self.chain.rpc("evm_revert", snapshot)
        self.play, self.world = kept, kept.world
        self.registrar_party = kept.registrar
        self.play.now = now
        self.before = []


def _copy(play: Play) -> Play:
    """A second play on the same chain, with its own copy of the world and the requests."""
    return deepcopy(play, {id(play.chain): play.chain})
