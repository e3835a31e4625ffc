"""Requests with daemons as processes, by the chain's direct calls."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fedpact.chain.bindings.events import (
    Credited,
    Equivocated,
    ModelsSubmitted,
    Paid,
    RoundFinalised,
    RoundOpened,
    RoundPosted,
    RoundTallied,
    Started,
)
from fedpact.consensus import draw
from fedpact.content.bn254 import public_key
from fedpact.content.delivery import Deliveries
from fedpact.content.keys import Manifest, committee_key, key_hash
from fedpact.exchange.messages import Kind, Message
from fedpact.learning.families import family_of
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger.check import verify
from fedpact.provider.ledger.opening import open_ledger
from fedpact.types.cid import Cid
from fedpact.types.requests import Join, Phase, RoundFacts, Start
from tests.support.reports import shown_to_its_requester
from tests.support.tokens import new_token
from tests.support.world import PAY, World, faults_of, points_of, running_world

ROUNDS, PROVIDERS = 2, 3
LONG = {"submit": 900, "commit": 900, "reveal": 900, "propose": 900}
BRIEF = {"submit": 40, "commit": 40, "reveal": 40, "propose": 40}
SHORT = {"submit": 20, "commit": 6, "reveal": 6, "propose": 20}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path, providers=PROVIDERS, rounds=ROUNDS) as started:
        yield started


@pytest.fixture
def serving(world: World) -> World:
    for number in range(PROVIDERS):
        world.serve(number)
    world.network.wait_until_serving()
    return world


def one_draw_a_round(world: World, number: int, rounds: int | Sequence[int]) -> None:
    """The provider's ledger holds one release for each of these rounds, and charges no more."""
    expected = list(range(1, rounds + 1) if isinstance(rounds, int) else rounds)
    with open_ledger(world.ledger_file(number), world.accounts[number]) as ledger:
        made = verify(ledger)
        assert [entry.id.round for entry in made] == expected
        if not expected:
            assert ledger.spent(1e-5).epsilon == 0
            return
        assert ledger.spent(1e-5).epsilon == pytest.approx(
            cost(made[0].event.times(len(expected)), 1e-5).epsilon
        )


def test_a_whole_request(serving: World) -> None:
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
    audited = world.audited(request, world.auditor)
    assert audited["commitments"] == f"{PROVIDERS * ROUNDS} votes opened on chain"


def test_a_slice_that_opens_for_nobody_is_paid_for(serving: World) -> None:
    """In the first protocol such a request took all models for nothing."""
    world, request = serving, serving.create(LONG)

    def useless(number: int, facts: RoundFacts) -> None:
        if facts.round == 1:
            world.send_slice(number, bytes(range(80)))
        else:  # nobody has anything to do until the window ends
            world.network.devnet.mine(2, LONG["commit"] + 1)

    world.follow(request, world.settled(request), useless)
    entries = [one for one in world.entries(request) if one.points]
    assert len(entries) == ROUNDS
    # 9,000 in equal parts, 500 for attesting, 500 for leading.
    shares = sorted(points_of(entries[0], PROVIDERS))
    assert shares == [3000 + 166, 3000 + 166, 3000 + 166 + 500]
    assert sorted(points_of(entries[1], PROVIDERS)) == shares
    assert not any(faults_of(entry) for entry in entries)
    assert world.paid_as_mirrored(request)
    assert world.audited(request, world.auditor)["included"] == f"{ROUNDS} rounds, {ROUNDS} blind"


@pytest.mark.slow
def test_members_are_paid_in_a_token_that_their_policy_lists(world: World) -> None:
    pay = 60_000_001
    held = {world.requester_keys.address: 2 * pay}
    bare = new_token(world.client, world.registrar, "BareToken", **held)
    plain = new_token(world.client, world.registrar, "PlainToken", **held)
    for token in (bare, plain):
        call = token.approve(world.client.market.address, 2 * pay)
        world.client.send(world.requester_keys, call)
    world.tokens = {bare.address.lower(): pay // (ROUNDS * PROVIDERS)}
    for number in range(PROVIDERS):
        world.serve(number)
    world.network.wait_until_serving()
    world.create(token=plain.address, pay=pay)
    world.wait_until_all_say("which is not among")
    world.create(token=bare.address, pay=pay - ROUNDS * PROVIDERS)
    world.wait_until_all_say("per round and provider is under")
    request = world.create(token=bare.address, pay=pay)
    world.follow(request, world.settled(request))
    paid = [bare.balance_of(keys.address) for keys in world.accounts]
    assert all(paid)
    assert pay - PROVIDERS < sum(paid) <= pay
    world.wait_until_all_say("paid ")
    shown = shown_to_its_requester(world, request)
    told = shown.report_data["request"]["members"]
    assert sorted(int(one["share"]) for one in told) == sorted(paid)
    assert sorted(int(one["paid"]) for one in told) == sorted(paid)
    assert all(one["share_transaction"] for one in told)
    flows = shown.report_data["request"]["money"]["received"]
    assert {one["token"]: int(one["amount"]) for one in flows}[bare.address] == pay
    assert f"{max(paid)} of 0x" in shown.report
    assert shown.card_data["quality"]["examples"] == 100 * ROUNDS


@pytest.mark.slow
def test_nobody_joins_before_all_slices_are_there(serving: World) -> None:
    """A missing slice made daemons of the first protocol wait until the window ended."""
    world = serving
    held: list[bytes] = []
    world.put = lambda contents: held.extend(contents)  # type: ignore[method-assign]
    request = world.create()
    assert world.specification is not None
    slices = {part.cid for part in world.specification.evaluation}
    for content in held:
        if str(Cid.of(content)) not in slices:
            world.network.store.put(content)
    world.wait_until_all_say("looking for evaluation slice 1: joining once it is here")
    assert world.client.pool.facts(request).members == 0
    for content in held:
        world.network.store.put(content)
    world.follow(request, lambda: world.phase(request) is Phase.SUBMIT)


@pytest.mark.slow
def test_a_cancelled_round_is_paid(serving: World) -> None:
    """In the first protocol providers trained for a requester that cancelled, and got nothing."""
    world, request = serving, serving.create()

    def cancel(facts: RoundFacts) -> None:
        if facts.submitted and not facts.halted:
            world.client.send(world.requester_keys, world.client.market.cancel(request))

    world.follow(request, world.settled(request), strike=cancel)
    *_, entry = world.entries(request)  # of whichever round it cancelled
    assert points_of(entry, PROVIDERS) == [3000] * PROVIDERS
    paid = world.paid_as_mirrored(request)
    assert all(paid[keys.address] >= PAY // ROUNDS // PROVIDERS for keys in world.accounts)
    world.audited(request)  # nothing was delivered, so that its auditor opens nothing


def nowhere(world: World, request: int) -> Start:
    """A manifest that nobody has."""
    return Start(b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\4" * 32)


def other_deliveries(world: World, request: int) -> Start:
    """All can read the request key, but the requester would be delivered another."""
    key, here = b"\5" * 32, world.network.deployment.fingerprint
    members = world.client.pool.members(request)
    registry = world.client.registry
    public = {one.account: registry.participant(one.account).encryption_key for one in members}
    manifest = Manifest.sealing(key, public, here, request, "request-key", 0, b"\6" * 32)
    digest = world.network.store.put(manifest.encode()).digest
    committee = bytes(committee_key(key, here, request).public_key)
    other = public_key(world.secret)
    root = Deliveries.seal(b"\7" * 32, other, here, request, ROUNDS).root
    return Start(digest, key_hash(key), committee, root)


@pytest.mark.slow
@pytest.mark.parametrize("useless", [nowhere, other_deliveries])
def test_a_useless_start_is_void(world: World, useless: Callable[[World, int], Start]) -> None:
    """In the first protocol the request was dead, without a fault."""
    world.serve(1)
    world.serve(2)
    world.network.wait_until_serving()
    request, hostile = world.create(SHORT), world.accounts[0]
    pool, rounds = world.client.pool, world.client.rounds
    join = Join(hostile.address, world.data.samples[0], bytes(range(32)))
    world.client.send(hostile, pool.enrol(request, [join], []))
    world.follow(request, lambda: pool.facts(request).closed)
    world.client.send(hostile, rounds.start(request, 0, useless(world, request)))
    world.follow(request, world.settled(request))
    first, *later = world.entries(request)
    assert (first.cohort, first.extra & 0xFFFF, first.points) == (0, 1, 0)
    assert len(world.events(request, Started)) == 2
    assert len(later) == ROUNDS
    assert all(points_of(entry, PROVIDERS)[0] == 0 for entry in later)
    for number in (1, 2):
        one_draw_a_round(world, number, ROUNDS)
    assert world.audited(request, world.auditor)["starts"] == "2 starts"


@pytest.mark.slow
def test_a_request_survives_a_daemon_that_is_killed(serving: World) -> None:
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


@pytest.fixture
def exchanging(world: World) -> World:
    world.exchanging = True
    for number in range(PROVIDERS):
        world.serve(number)
    world.network.wait_until_serving()
    return world


def test_a_round_on_which_all_agree_is_one_transaction(exchanging: World) -> None:
    world, request = exchanging, exchanging.create(LONG)

    def by_message(facts: RoundFacts) -> None:
        if facts.phase is Phase.SUBMIT and facts.round > 1:
            world.say_slice(request, facts)

    world.follow(request, world.settled(request), strike=by_message)
    steps = [
        type(event).__name__
        for event in world.all_events(request)
        if not isinstance(event, Credited | RoundOpened | Paid)
    ]
    one = ["RoundPosted", "RoundFinalised"]
    submitted = ["ModelsSubmitted"] * PROVIDERS
    assert steps == [
        *("RequestCreated", *["Joined"] * PROVIDERS, "Started"),
        *(*submitted, "SliceOpened", *one),
        *(*one, "RoundsEnded", "Delivered", "Settled"),
    ]
    entries = [entry for entry in world.entries(request) if entry.points]
    assert all(all(points_of(entry, PROVIDERS)) for entry in entries)
    assert world.paid_as_mirrored(request)
    spec, test = world.specification, world.data.test
    assert spec is not None
    assert family_of(spec).error(spec, world.final_model(request), test.x, test.y) < 3_000
    one_draw_a_round(world, 0, ROUNDS)
    assert world.audited(request, world.auditor)["records"] == "2 rounds posted as a whole"


@pytest.mark.slow
def test_a_useless_slice_by_message_costs_nobody_its_vote(exchanging: World) -> None:
    """Sent to one member alone it would have made that member's vote BLIND."""
    world, request = exchanging, exchanging.create(LONG)

    def useless(facts: RoundFacts) -> None:
        if facts.phase is Phase.SUBMIT and facts.round > 1:
            world.say_slice(request, facts, bytes(range(80)))

    world.follow(request, world.settled(request), strike=useless)
    assert "the slice sent for round 2" in world.log(0)
    entries = [entry for entry in world.entries(request) if entry.points]
    assert len(entries) == ROUNDS
    assert all(all(points_of(entry, PROVIDERS)) for entry in entries)
    assert not any(one.blind for one in world.events(request, RoundTallied))
    assert [one.round for one in world.events(request, RoundPosted)] == [1, 2]


@pytest.mark.slow
def test_models_go_on_chain_in_one_batch_for_a_requester_that_sends_no_messages(
    exchanging: World,
) -> None:
    world, request = exchanging, exchanging.create(LONG)
    world.follow(request, world.settled(request))
    [batch] = [one for one in world.events(request, ModelsSubmitted) if one.round == 2]
    assert batch.mask == 0b111
    assert [one.round for one in world.events(request, RoundPosted)] == [1, 2]


@pytest.mark.slow
def test_an_exchange_survives_a_daemon_that_is_killed_and_one_that_stays_away(
    exchanging: World,
) -> None:
    """Batches and single calls take over; nobody signs anything else than before."""
    world, request = exchanging, exchanging.create(BRIEF)
    struck: set[int] = set()

    def strike(facts: RoundFacts) -> None:
        if facts.phase is Phase.COMMIT and 0 not in struck:
            struck.add(0)
            world.kill(0)
            world.serve(0)
        if facts.round == 2 and 2 not in struck:
            struck.add(2)
            world.kill(2)

    world.follow(request, world.settled(request), strike=strike)
    assert struck == {0, 2}
    assert world.client.rounds.outcome(request).final_rounds == ROUNDS
    last = [entry for entry in world.entries(request) if entry.points][-1]
    accounts = [member.account for member in world.client.pool.members(request)]
    gone = accounts.index(world.accounts[2].address)
    assert faults_of(last) == [gone]
    assert [not own for own in points_of(last, PROVIDERS)] == [n == gone for n in range(PROVIDERS)]
    assert not world.events(request, Equivocated)
    assert not any("not signing another" in world.log(number) for number in range(PROVIDERS))
    for number in (0, 1):
        one_draw_a_round(world, number, ROUNDS)
    assert world.audited(request, world.auditor)["faults"] == "1 fault"


@pytest.mark.slow
def test_whoever_signs_two_votes_is_void_and_at_fault(world: World) -> None:
    world.exchanging = True
    for number in (0, 1):
        world.serve(number)
    world.network.wait_until_serving()
    request, hostile = world.create(SHORT), world.accounts[2]
    pool, domain = world.client.pool, world.client.rounds.domain
    join = Join(hostile.address, world.data.samples[2], bytes(range(32)))
    world.client.send(hostile, pool.enrol(request, [join], []))
    seats: list[str] = []

    def contradict(facts: RoundFacts) -> None:
        if facts.round != 1:
            return
        seats[:] = [one.account for one in pool.cohort_of(request, facts.seed)[1]]
        seat = seats.index(hostile.address)
        if facts.phase is Phase.SUBMIT and not facts.submitted >> seat & 1:
            call = world.client.rounds.submit(request, 1 << seat, [b"\1" * 32], [])
            world.client.send(hostile, call)
        if facts.phase is Phase.COMMIT:
            said = [
                Message(
                    kind=Kind.VOTE,
                    seat=seat,
                    value=value.hex(),
                    signature=hostile.sign_typed(*domain.typed("Vote", request, 1, value)).hex(),
                )
                for value in (b"\2" * 32, b"\3" * 32)
            ]
            world.exchange(request, 1, said)

    world.follow(request, lambda: bool(world.events(request, RoundFinalised)), strike=contradict)
    seat = seats.index(hostile.address)
    [proof] = world.events(request, Equivocated)
    assert (proof.seat, proof.round) == (seat, 1)
    [first, *_] = world.entries(request)
    assert seat in faults_of(first)
    assert points_of(first, PROVIDERS)[seat] == 0
    honest = [own for n, own in enumerate(points_of(first, PROVIDERS)) if n != seat]
    assert all(honest)
    world.audited(request)


@pytest.mark.slow
def test_whoever_is_not_drawn_spends_nothing_and_owes_nothing(tmp_path: Path) -> None:
    providers, rounds, cohort = 4, 4, 2
    with running_world(tmp_path, providers=providers, rounds=rounds) as world:
        world.exchanging = True
        for number in range(providers):
            world.serve(number)
        world.network.wait_until_serving()
        request = world.create(LONG, cohort=cohort)
        world.follow(request, world.settled(request))
        accounts = [member.account for member in world.client.pool.members(request)]
        drawn = [
            draw.cohort(event.seed, [1] * providers, cohort)
            for event in world.events(request, RoundOpened)
        ]
        entries = [entry for entry in world.entries(request) if entry.points]
        assert [tuple(e.cohort >> 16 * s & 0xFFFF for s in range(cohort)) for e in entries] == drawn
        assert len({index for pair in drawn for index in pair}) > cohort
        assert not any(faults_of(entry) for entry in entries)
        assert world.client.rounds.outcome(request).final_rounds == rounds
        assert world.paid_as_mirrored(request)
        for number, keys in enumerate(world.accounts):
            index = accounts.index(keys.address)
            own = [round_ for round_, pair in enumerate(drawn, 1) if index in pair]
            one_draw_a_round(world, number, own)
        audited = world.audited(request, world.auditor)
        assert audited["draws"] == "; ".join(f"{n}: {list(p)}" for n, p in enumerate(drawn, 1))
        for index in range(providers):
            took = sum(index in pair for pair in drawn)
            assert f"member {index}: " in audited["privacy"]
            assert f" in {took} round" in audited["privacy"]
