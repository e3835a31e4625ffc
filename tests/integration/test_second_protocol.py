"""Requests of the second protocol with daemons as processes, by the chain's direct calls."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedpact.chain.bindings.v2.events import Started
from fedpact.learning.families import family_of
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger_check import verify
from fedpact.provider.ledgers import open_ledger
from fedpact.types.cid import Cid
from fedpact.types.v2 import Join, Phase, RoundFacts, Start
from tests.support.second_world import PAY, SecondWorld, faults_of, points_of, second_world

ROUNDS, PROVIDERS = 2, 3
LONG = {"submit": 900, "commit": 900, "reveal": 900, "propose": 900}
SHORT = {"submit": 20, "commit": 6, "reveal": 6, "propose": 20}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SecondWorld]:
    with second_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS) as started:
        yield started


@pytest.fixture
def serving(world: SecondWorld) -> SecondWorld:
    for number in range(PROVIDERS):
        world.serve(number)
    world.network.wait_until_serving()
    return world


def one_draw_a_round(world: SecondWorld, number: int, rounds: int) -> None:
    """The provider's ledger holds one release for each round, and charges no more."""
    with open_ledger(world.ledger_file(number), world.accounts[number]) as ledger:
        made = verify(ledger)
        assert [entry.id.round for entry in made] == list(range(1, rounds + 1))
        assert ledger.spent(1e-5).epsilon == pytest.approx(
            cost(made[0].event.times(rounds), 1e-5).epsilon
        )


def test_a_whole_request(serving: SecondWorld) -> None:
    world, request = serving, serving.create()
    world.follow(request, world.settled(request))
    outcome = world.client.rounds.outcome(request)
    assert (outcome.final_rounds, outcome.paid_rounds) == (ROUNDS, ROUNDS)
    entries = world.entries(request)
    assert all(all(points_of(entry, PROVIDERS)) for entry in entries)
    assert not any(faults_of(entry) for entry in entries)
    assert world.paid_as_mirrored(request)
    spec, test = world.specification, world.data.test
    assert spec is not None
    assert family_of(spec).error(spec, world.final_model(request), test.x, test.y) < 3_000
    world.wait_until_all_say("paid ")
    one_draw_a_round(world, 0, ROUNDS)


def test_a_slice_that_opens_for_nobody_is_paid_for(serving: SecondWorld) -> None:
    """In the first protocol such a request took all models for nothing."""
    world, request = serving, serving.create(SHORT)
    sealed = {1: bytes(range(80)), 2: None}

    def useless(number: int, facts: RoundFacts) -> None:
        found = sealed[facts.round]
        if found is not None:
            world.send_slice(number, found)

    world.follow(request, world.settled(request), useless)
    entries = [one for one in world.entries(request) if one.points]
    assert len(entries) == ROUNDS
    # 9,000 in equal parts, 500 for attesting, 500 for leading.
    shares = sorted(points_of(entries[0], PROVIDERS))
    assert shares == [3000 + 166, 3000 + 166, 3000 + 166 + 500]
    assert sorted(points_of(entries[1], PROVIDERS)) == shares
    assert not any(faults_of(entry) for entry in entries)
    assert world.paid_as_mirrored(request)


@pytest.mark.slow
def test_nobody_joins_before_all_slices_are_there(serving: SecondWorld) -> None:
    """A slice that is nowhere made daemons of the first protocol wait until the window ended."""
    world = serving
    held: list[bytes] = []
    world.put = lambda contents: held.extend(contents)  # type: ignore[method-assign]
    request = world.create()
    assert world.specification is not None
    slices = {part.cid for part in world.specification.evaluation}
    for content in held:
        if str(Cid.of(content)) not in slices:
            world.network.store.put(content)
    world.wait_until_all_say("evaluation slice 1 is nowhere to be had")
    assert world.client.pool.facts(request).members == 0
    for content in held:
        world.network.store.put(content)
    world.follow(request, lambda: world.phase(request) is Phase.SUBMIT)


@pytest.mark.slow
def test_a_cancelled_round_is_paid(serving: SecondWorld) -> None:
    """In the first protocol providers trained for a requester that cancelled, and got nothing."""
    world, request = serving, serving.create(SHORT)

    def cancel(facts: RoundFacts) -> None:
        if facts.submitted and not facts.halted:
            world.client.send(world.requester_keys, world.client.market.cancel(request))

    world.follow(request, world.settled(request), strike=cancel)
    [entry] = world.entries(request)
    assert points_of(entry, PROVIDERS) == [3000] * PROVIDERS
    paid = world.paid_as_mirrored(request)
    assert all(paid[keys.address] >= PAY // ROUNDS // PROVIDERS for keys in world.accounts)


@pytest.mark.slow
def test_a_start_that_opens_for_nobody_is_void(world: SecondWorld) -> None:
    """In the first protocol the request was dead, without a fault."""
    world.serve(1)
    world.serve(2)
    world.network.wait_until_serving()
    request, hostile = world.create(SHORT), world.accounts[0]
    pool, rounds = world.client.pool, world.client.rounds
    join = Join(hostile.address, world.data.samples[0], bytes(range(32)))
    world.client.send(hostile, pool.enrol(request, [join], []))
    world.follow(request, lambda: pool.facts(request).closed)
    nowhere = Start(b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\4" * 32)
    world.client.send(hostile, rounds.start(request, 0, nowhere))
    world.follow(request, world.settled(request))
    first, *later = world.entries(request)
    assert (first.cohort, first.extra & 0xFFFF, first.points) == (0, 1, 0)
    assert len(world.events(request, Started)) == 2
    assert len(later) == ROUNDS
    assert all(points_of(entry, PROVIDERS)[0] == 0 for entry in later)
    for number in (1, 2):
        one_draw_a_round(world, number, ROUNDS)


@pytest.mark.slow
def test_a_request_survives_a_daemon_that_is_killed(serving: SecondWorld) -> None:
    world, request = serving, serving.create(LONG)
    struck: set[Phase] = set()

    def strike(facts: RoundFacts) -> None:
        if facts.phase not in struck and facts.round and facts.phase is not Phase.ENDED:
            number = len(struck) % PROVIDERS
            struck.add(facts.phase)
            world.kill(number)
            world.serve(number)

    world.follow(request, world.settled(request), strike=strike)
    assert {Phase.SUBMIT, Phase.COMMIT} <= struck
    entries = [one for one in world.entries(request) if one.points]
    assert len(entries) == ROUNDS
    assert all(all(points_of(entry, PROVIDERS)) for entry in entries)
    assert not any(faults_of(entry) for entry in world.entries(request))
    for number in range(PROVIDERS):
        one_draw_a_round(world, number, ROUNDS)
