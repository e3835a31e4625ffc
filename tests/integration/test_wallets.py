"""Requests whose requester and members are contract wallets (ERC-1271), or accounts that delegated
to a contract (EIP-7702), with daemons as processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.chain.bindings.events import ModelsSubmitted, Paid, RoundPosted, Started
from fedpact.types.requests import Phase, RoundFacts
from tests.support.wallets import delegate
from tests.support.world import World, faults_of, points_of, running_world

ROUNDS, PROVIDERS = 2, 3
LONG = {"submit": 900, "commit": 900, "reveal": 900, "propose": 900}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Requester and first provider are wallets, and the second provider's account delegated."""
    wallets = ("requester", "provider-1")
    with running_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS, wallets=wallets) as started:
        contract = started.accounts[0].address
        delegate(started.client, started.accounts[1], contract)
        yield started


def serve(world: World) -> None:
    for number in range(PROVIDERS):
        world.serve(number)
    world.network.wait_until_serving()


def all_is_well(world: World, request: int) -> None:
    """All rounds final, all members paid and without fault, and the audit finds every signature."""
    entries = world.entries(request)
    assert len([entry for entry in entries if all(points_of(entry, PROVIDERS))]) == ROUNDS
    assert not any(faults_of(entry) for entry in entries)
    [started] = world.events(request, Started)
    assert started.index == world.number_of(world.accounts[0].address) == 0
    paid = {event.account for event in world.events(request, Paid)}
    assert paid >= {keys.address for keys in world.accounts}
    audited = world.audited(request, world.auditor)
    assert audited["conservation"]


def test_a_wallet_takes_part_in_the_exchange(world: World) -> None:
    world.exchanging = True
    serve(world)
    request = world.create(LONG)

    def by_message(facts: RoundFacts) -> None:
        if facts.phase is Phase.SUBMIT and facts.round > 1:
            world.say_slice(request, facts)

    world.follow(request, world.settled(request), strike=by_message)
    assert [one.round for one in world.events(request, RoundPosted)] == [1, 2]
    assert not [one for one in world.events(request, ModelsSubmitted) if one.round == 2]
    all_is_well(world, request)


@pytest.mark.slow
def test_a_wallet_calls_for_itself(world: World) -> None:
    serve(world)
    request = world.create(LONG)
    world.follow(request, world.settled(request))
    assert not world.events(request, RoundPosted)
    all_is_well(world, request)
