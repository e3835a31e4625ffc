"""A life: up to three requests on a chain, the model they must agree with, and the end."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, invariant

from fedpact.consensus.reputation import score
from fedpact.types.rounds import Stage
from tests.contracts.stateful.agreement import only_moves_on, shows_the_money, shows_the_round
from tests.contracts.stateful.draws import ORGANISATIONS
from tests.contracts.stateful.fast_chain import FastChain
from tests.contracts.stateful.market_model import Party, RequestModel, World
from tests.contracts.stateful.play import Play

UNIT = 10**15
MONEY = 10**24


class Life(RuleBasedStateMachine):
    """Up to three requests at once, and their parties. The rules are in the *_rules modules."""

    chain: ClassVar[FastChain]
    accounts: ClassVar[list[str]]
    registrar: ClassVar[str]
    began: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.chain.rpc("evm_snapshot")
        parties = [
            Party(address, organisation, organisation > 0, wei=MONEY)
            for address, organisation in zip(self.accounts, ORGANISATIONS, strict=True)
        ]
        self.registrar_party = Party(self.registrar)
        self.world = World(parties, UNIT)
        self.play = Play(self.chain, self.world, self.registrar_party, self.began)
        self.before: list[dict[str, Any]] = []

    def pick(self, number: int) -> RequestModel:
        return self.play.requests[number % len(self.play.requests)]

    def party(self, number: int) -> Party:
        return self.world.parties[number]

    def holder_or(self, m: RequestModel, seat: int, other: int) -> Party:
        """The holder of the seat, unless `other` names another party (1 to 8)."""
        held = seat in m.rounds.members and not other
        return self.play.holder(m, seat) if held else self.party(other)

    def over(self) -> list[RequestModel]:
        return [m for m in self.play.requests if m.rounds.phase is Stage.ENDED]

    @property
    def stranger(self) -> Party:
        return self.world.parties[-1]

    # -- what holds ------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        self.play.agreed = False
        requests = [m.rounds.request_id for m in self.play.requests]
        words = self.chain.look(self.accounts, requests)
        assert words.one() == self.play.now
        assert words.one() == self.world.held + self.world.forced
        for party in self.world.parties:
            name = score(party.sums, self.play.now)
            assert words.some(3) == [party.wei, int(party.active), name]
        sights = []
        for m in self.play.requests:
            m.rounds.pass_to(self.play.now)
            seen = words.sight()
            shows_the_round(m, self.accounts, seen)
            shows_the_money(m, seen, self.play.now)
            sights.append(seen)
        for old, new in zip(self.before, sights, strict=False):
            only_moves_on(old, new)
        self.before = sights
        self.play.agreed = True

    def teardown(self) -> None:
        try:
            # A failed step has already reported the error.
            if self.play.agreed:
                self._finishes_to_the_wei()
        finally:
            assert self.chain.rpc("evm_revert", self.snapshot)

    def _finishes_to_the_wei(self) -> None:
        left = 0
        for m in self.play.requests:
            self.play.finish(m, self.stranger)
            left += self.play.pay_out(m)
        self.before = []
        self.agrees()
        assert self.world.held == left
