"""Random requests on a real chain; everybody acts at any time, honestly or not.

What holds after every step:

1. Money in is claims and refunds and what the market still holds, to the wei, with ether forced
   upon the market counted apart; every account has exactly what the protocol gave it.
2. Refund and claim never cover the same wei: what is open to be taken of a request and what was
   taken of it never exceed its payment.
3. Nobody earns points by a round in which no valid model of theirs stood; nobody loses any.
4. No account acts twice in a phase; no stranger, no late and no barred account changes a round. A
   suspension takes effect from the next round and leaves earned points claimable.
5. A final round never changes: its digest stands until the next one is final.
6. Medians, included models, points, faults, leader order, running hash, phases with their
   deadlines, shares of the payment and reputations are those of the Python mirror, by which daemons
   and auditors go; whatever the mirror does not allow, the contracts refuse.

From every state a bounded number of steps that an outsider may take, and of deadlines, ends the
request (`finish`); then everyone takes what is theirs, and less than a wei a seat is left over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from tests.contracts.stateful.draws import ORGANISATIONS, PAYMENTS, PROVIDERS, SEEDS, TERMS
from tests.contracts.stateful.fast_chain import FastChain
from tests.contracts.stateful.life import MONEY
from tests.contracts.stateful.market_rules import MarketRules
from tests.contracts.stateful.outside_rules import OutsideRules
from tests.contracts.stateful.round_rules import RoundRules
from tests.support.chainkit import Chain, Deployed


class Requests(MarketRules, RoundRules, OutsideRules):
    """Everybody acts at any time."""

    @initialize(
        terms=TERMS,
        payment=PAYMENTS,
        joining=st.sampled_from([PROVIDERS] * 6 + [1, 3]),
        phases=st.integers(0, 16),
        hostile=st.booleans(),
        seed=SEEDS,
    )
    def first_request(
        self,
        terms: dict[str, Any],
        payment: int,
        joining: int,
        phases: int,
        hostile: bool,
        seed: int,
    ) -> None:
        """A life starts at any point of an undisturbed request."""
        self.play.create(self.party(0), payment, **terms)
        self.crowd_joins(0, joining)
        m = self.pick(0)
        if m.closed_at and phases:
            self.play.start(m, 0, self.play.holder(m, 0))
            self.all_go_on(phases, hostile, seed)


@pytest.fixture(scope="module")
def machine(
    session_chain: Chain, deployed: Deployed, accounts: list[LocalAccount]
) -> Iterator[type[Requests]]:
    """The machine's class, bound to a chain with registered participants."""
    snapshot = session_chain.snapshot()
    lens = session_chain.deploy("StateLens", accounts[0])
    Requests.chain = FastChain(session_chain, deployed, lens)
    Requests.registrar = deployed.registrar.address
    Requests.accounts = [account.address for account in accounts[1 : len(ORGANISATIONS) + 1]]
    for address, organisation in zip(Requests.accounts, ORGANISATIONS, strict=True):
        session_chain.fund(address, MONEY)
        if organisation:
            call = deployed.registry.functions.admit(
                *(address, organisation, keccak(b"key"), bytes(32), bytes(32))
            )
            session_chain.send(deployed.registrar, call)
    Requests.began = session_chain.now
    Requests.chain.a_second_a_block(True)
    yield Requests
    Requests.chain.a_second_a_block(False)
    session_chain.revert(snapshot)
    session_chain.next_at(session_chain.now + 1)


def run(machine: type[Requests], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_lives_hold(machine: type[Requests]) -> None:
    run(machine, examples=30, steps=25)


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_a_thousand_long_random_lives_hold(machine: type[Requests]) -> None:
    run(machine, examples=1_000, steps=50)
