"""The reputation ledger, replayed from its events: announced units, losses without weight."""

from typing import Any

import pytest

from fedpact.audit.reputation import LedgerReplay
from fedpact.chain.bindings.events import Place
from fedpact.chain.records import Event
from fedpact.consensus.reputation import NEWCOMER
from fedpact.types.requests import ETHER

PROVIDER = "0x" + 40 * "1"


def event(block: int, name: str, **args: Any) -> Event:
    return Event(name, "ReputationLedger", args, block, f"0x{block:x}", 0)


def announced(block: int, unit: int, effective: int) -> Event:
    return event(block, "UnitAnnounced", token=ETHER, unit=unit, effective=effective)


@pytest.mark.parametrize(
    ("now", "weight"), [(0, 10), (49, 10), (50, 10), (79, 10), (80, 5), (99, 5), (200, 5)]
)
def test_units_count_from_when_they_take_effect(now: int, weight: int) -> None:
    """That of block 10 is replaced at 30, before it takes effect at 50; so it never does."""
    ledger = LedgerReplay([announced(0, 10, 0), announced(10, 1, 50), announced(30, 20, 80)])
    assert ledger.weight_of(ETHER, 100, now, lambda block: block) == weight
    assert ledger.weight_of(PROVIDER, 100, now, lambda block: block) == 0


def recorded(block: int, weight: int, quality: int, losses: int) -> Event:
    outcome = {"account": PROVIDER, "quality": quality, "losses": losses}
    return event(block, "ProvidersRecorded", weight=weight, endedAt=0, outcomes=(outcome,))


def test_losses_count_without_a_weight_up_to_a_bound() -> None:
    fined = [recorded(block, 0, 0, 300) for block in range(1, 9)]

    def score_after(count: int) -> int:
        return LedgerReplay(fined[:count]).provider_score_now(PROVIDER, lambda _: 0, 0)

    found = [score_after(count) for count in range(9)]
    assert found == [NEWCOMER, 3_700, 3_400, 3_100, *[3_000] * 5]


def test_a_score_is_that_of_the_moment_of_joining() -> None:
    ledger = LedgerReplay([recorded(5, 100, 10_000, 0)])
    before, after = (Place(block, 0, "", None) for block in (4, 6))
    assert ledger.provider_score(PROVIDER, before, lambda _: 0) == NEWCOMER
    assert ledger.provider_score(PROVIDER, after, lambda _: 0) == 9_454
