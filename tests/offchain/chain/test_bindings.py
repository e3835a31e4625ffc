"""Each function of the contracts from Python, over a request's life on a real chain."""

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from fedpact.chain.abi import SECOND, contract_abi
from fedpact.chain.bindings import events
from fedpact.chain.bindings.binding import Binding
from fedpact.chain.bindings.large_rounds import LargeRounds
from fedpact.chain.bindings.market import Market
from fedpact.chain.bindings.pool import Pool
from fedpact.chain.bindings.registry import Registry
from fedpact.chain.bindings.reputation import Reputation
from fedpact.chain.bindings.rounds import Rounds, folded
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.failover import Nodes
from fedpact.chain.records import Call
from fedpact.chain.signed_messages import (
    Anchored,
    history_after_round,
    history_after_start,
)
from fedpact.consensus import draw
from fedpact.content.delivery import open_delivery
from fedpact.content.wrong_key_proof import dispute_context, prove
from fedpact.errors import Reverted, UnknownRequest
from fedpact.types.requests import (
    Link,
    MessageKind,
    Phase,
    Status,
    WeightRule,
)
from tests.support.chain_request import SECRET, ChainRequest, People, signed
from tests.support.relay import RELAY, relay_code

FOR_CONTRACTS = {
    "ParticipantRegistry": {"seatInfo"},
    "ReputationLedger": {"recordProviders", "recordRequester"},
    "TrainingPool": {"prepare", "presence"},
    "TrainingRounds": {"prepare", "halt"},
    "LargeRounds": {"prepare", "halt"},
    "SharingMarket": set[str](),
}
"""Called by the other contracts."""
OF_OPENZEPPELIN = {
    *("owner", "pendingOwner", "transferOwnership", "acceptOwnership", "renounceOwnership"),
    "eip712Domain",
}
NewRequest = Callable[..., ChainRequest]


@pytest.mark.parametrize("binding", [Registry, Reputation, Pool, Rounds, LargeRounds, Market])
def test_each_function_for_people_has_a_method(binding: type[Binding]) -> None:
    names = set(contract_abi(binding.NAME, SECOND).functions) - FOR_CONTRACTS[binding.NAME]
    missing = {
        name
        for name in names - OF_OPENZEPPELIN
        if not hasattr(binding, re.sub("([A-Z])", r"_\1", name).lower())
    }
    assert not missing


def test_every_event_of_a_request_has_a_class() -> None:
    known = {kind.__name__ for kind in events.RequestEvent.__subclasses__()}
    for binding in (Pool, Rounds, Market):
        for event in contract_abi(binding.NAME, SECOND).events.values():
            inputs = event.names
            assert (event.name in known) == ("request" in inputs), event.event_name


def test_the_record_of_a_round_that_a_contract_posts(
    anvil: Devnet, client: ChainClient, new_request: NewRequest
) -> None:
    request = new_request().running()
    record, rounds = request.record(), client.rounds
    message = rounds.domain.round(request.id, 1, rounds.round_facts(request.id).history, record)
    signatures = [signed(one, message) for one in request.seats]
    hidden = b"\0" + rounds.post_round(request.id, record, signatures).data
    with closing(Nodes(anvil.url)) as node:
        node.call("anvil_setCode", RELAY, relay_code(rounds.address))
    receipt = client.send(request.people.members[0], Call(RELAY, hidden))
    posted = receipt.event("RoundPosted").args["record"]
    assert rounds.posted_record(receipt.tx_hash, posted) == record


def test_a_request_whose_rounds_are_posted_whole(
    client: ChainClient, people: People, new_request: NewRequest
) -> None:
    request = new_request()
    terms_hash = client.market.terms_hash(request.terms)
    assert client.market.terms(request.id) == request.terms
    stored = client.market.request(request.id)
    assert (stored.status, stored.requester) == (Status.OPEN, people.requester.address)
    assert stored.terms_hash == terms_hash == client.rounds.open_terms(request.id)

    request.enrol()
    facts = client.pool.facts(request.id)
    assert (facts.members, facts.closed, facts.enough, facts.drawn) == (3, True, True, False)
    assert facts.plan.requester_organisation == 99
    members = client.pool.members(request.id)
    assert [one.account for one in members] == [keys.address for keys in people.members]
    assert [one.weight_sum for one in members] == [1, 2, 3]
    assert client.pool.index_of(request.id, people.members[2].address) == 2
    assert client.pool.index_of(request.id, people.requester.address) is None

    request.start()
    first = client.rounds.round_facts(request.id)
    assert (first.phase, first.round, first.size, first.expected) == (Phase.SUBMIT, 1, 3, 0b111)
    record = request.record()
    receipt = request.post(record)
    posted = receipt.event("RoundPosted").args["record"]
    assert client.rounds.posted_record(receipt.tx_hash, posted) == record
    assert client.rounds.posted_record(receipt.tx_hash, bytes(32)) is None
    request.post(error=400)
    ended = client.rounds.outcome(request.id)
    assert (ended.ended, ended.reached, ended.final_rounds) == (True, True, 2)

    request.deliver()
    log = list(client.request_events(request.id))
    [delivered] = [one for one in log if isinstance(one, events.Delivered)]
    delivery = request.deliveries.after(2)
    assert (delivered.ephemeral, delivered.cipher) == (delivery.ephemeral.fields, delivery.cipher)
    assert keccak(open_delivery(SECRET, delivery, 2)) == delivered.key_digest

    entries = [one.entry for one in log if isinstance(one, events.Credited)]
    earned = bytes(32)
    for entry in entries:
        earned = folded(earned, entry.fields)
    assert earned == ended.earned
    assert [entry.paid for entry in entries] == [True, True]
    assert entries[0].refund > 0
    assert entries[0].poster == people.members[0].address.lower()

    # The requester accepts by signature, so that a stranger may settle at once.
    acceptance = people.requester.signer.sign_message(client.market.acceptance(request.id))
    assert bytes(acceptance.message_hash) == client.market.accept_digest(request.id)
    settle = client.market.settle(request.id, request.terms, entries, bytes(acceptance.signature))
    request.send(people.members[1], settle)
    assert client.market.request(request.id).status is Status.SETTLED
    paid = [one for one in client.request_events(request.id) if isinstance(one, events.Paid)]
    shares = [one.amount for one in paid if one.account in {m.address for m in people.members}]
    assert sum(shares) >= request.terms.pay - 3
    assert client.reputation.requester_reputation(people.requester.address) > 4_000

    start = next(one for one in log if isinstance(one, events.Started)).start
    links = [
        Link(one.round, bytes(32), one.record) for one in log if isinstance(one, events.RoundPosted)
    ]
    history = history_after_start(terms_hash, list(vars(start).values()))
    for link in links:
        history = history_after_round(history, link.round, link.log, link.record)
    assert history == client.rounds.round_facts(request.id).history
    assert client.rounds.verify_history(request.id, terms_hash, [start], links)
    assert not client.rounds.verify_history(request.id, terms_hash, [start], links[:1])


def test_a_round_in_batches(client: ChainClient, people: People, new_request: NewRequest) -> None:
    request = new_request(max_rounds=1).running()
    rounds, domain, seats = client.rounds, client.rounds.domain, request.seats
    request.submit(0, 1, 2)
    assert rounds.round_facts(request.id).phase is Phase.COMMIT

    key = b"sealed" * 10
    signature = signed(people.requester, domain.slice(request.id, 1, key))
    opening = rounds.open_slice(request.id, (), people.requester.address, key, signature)
    votes = request.record().votes
    salts = [keccak(text=f"salt {seat}") for seat in range(3)]
    pairs = zip(seats, votes, salts, strict=True)
    commitments = [
        domain.commitment(request.id, 1, keys.address, vote, salt) for keys, vote, salt in pairs
    ]
    signatures = [
        signed(keys, domain.vote(request.id, 1, commitment))
        for keys, commitment in zip(seats, commitments, strict=True)
    ]
    commit = rounds.commit_votes(request.id, 0b111, commitments, signatures[1:])
    both = rounds.multicall([opening, commit])
    assert both.action == "TrainingRounds.multicall(openSlice+commitVotes)"
    told = [events.request_event(one) for one in request.send(seats[0], both).events]
    [opened] = [one for one in told if isinstance(one, events.SliceOpened)]
    anchored = Anchored(opened.log, tuple(enumerate(commitments)))
    reveal = rounds.reveal_votes(request.id, anchored, 0b111, votes, salts)
    told = [events.request_event(one) for one in request.send(people.requester, reveal).events]
    [tallied] = [one for one in told if isinstance(one, events.RoundTallied)]
    assert tallied.board.included == 0b111

    digest = keccak(text="global")
    message = domain.attest(request.id, 1, digest, 900)
    attested = [signed(keys, message) for keys in seats[1:]]
    errors = sum(900 << 14 * seat for seat in range(3))
    given = (0b111, digest, errors, attested)
    call = rounds.finalise(request.id, tallied.log, tallied.board, [], *given)
    request.send(seats[0], call)
    facts = rounds.round_facts(request.id)
    assert (facts.phase, facts.final_rounds, facts.last_leader) == (Phase.ENDED, 1, 0)


def test_a_model_signed_twice_is_void(
    client: ChainClient, people: People, new_request: NewRequest
) -> None:
    request = new_request().running()
    domain, keys = client.rounds.domain, request.seats[1]
    models = (keccak(text="one"), keccak(text="two"))
    pair = tuple(signed(keys, domain.model(request.id, 1, one)) for one in models)
    report = client.rounds.report_equivocation(
        request.id, 1, MessageKind.MODEL, (models[0], 0), (models[1], 0), (pair[0], pair[1])
    )
    request.send(people.requester, report)
    assert client.rounds.round_facts(request.id).voided == 0b10


def test_a_drawn_cohort_is_the_mirrors(
    client: ChainClient, people: People, new_request: NewRequest
) -> None:
    request = new_request(cohort=2, weight_rule=WeightRule.SAMPLES, sample_cap=1_000).running()
    facts = client.rounds.round_facts(request.id)
    assert facts.drawn
    sums = [one.weight_sum for one in client.pool.members(request.id)]
    weights = [after - before for before, after in zip([0, *sums], sums, strict=False)]
    indices, members = client.pool.cohort_of(request.id, facts.seed)
    assert indices == draw.cohort(facts.seed, weights, 2, client.pool.left(request.id))
    assert [one.account for one in members] == [people.members[i].address for i in indices]


def test_who_left_is_passed_over(
    client: ChainClient, people: People, new_request: NewRequest
) -> None:
    request = new_request(max_pool=4)
    request.enrol()
    request.send(people.members[1], client.pool.withdraw(request.id, 1))
    assert client.pool.left(request.id) == (1,)
    assert client.pool.has_left(request.id, 1)
    assert client.pool.index_of(request.id, people.members[1].address) is None
    assert client.pool.facts(request.id).left == 1


def test_a_wrong_key_is_disputed(
    client: ChainClient, people: People, new_request: NewRequest
) -> None:
    request = new_request(max_rounds=1)
    wrong = replace(request.deliveries, ciphers=(bytes(32),))
    request.deliveries = wrong
    request.running()
    request.post()
    request.deliver()
    delivery = wrong.after(1)
    here = client.deployment
    context = dispute_context(here.chain_id, here.market, request.id)
    proof = prove(SECRET, delivery, 1, context)
    dispute = client.market.dispute(request.id, request.terms, delivery.fields, proof.fields)
    request.send(people.requester, dispute)
    assert client.market.request(request.id).status is Status.DISPUTED
    [found] = [o for o in client.request_events(request.id) if isinstance(o, events.Disputed)]
    assert found.shared == proof.shared.fields


def test_a_request_is_cancelled(
    client: ChainClient, people: People, new_request: NewRequest
) -> None:
    request = new_request()
    request.send(people.requester, client.market.cancel(request.id))
    assert client.rounds.round_facts(request.id).phase is Phase.ENDED
    with pytest.raises(Reverted, match="WrongPhase"):
        client.rounds.open_terms(request.id)
    with pytest.raises(Reverted, match="NotRequester"):
        request.send(people.members[0], client.market.cancel(request.id))


def test_unknown_requests_and_roles(client: ChainClient, people: People) -> None:
    with pytest.raises(UnknownRequest):
        client.market.request(10**6)
    with pytest.raises(UnknownRequest):
        client.market.terms(10**6)
    assert client.rounds.round_facts(10**6).phase is Phase.NONE
    assert client.market.min_window() == 1
    assert client.market.guardian() == people.registrar.address == client.registry.registrar()
    assert client.reputation.is_recorder(client.deployment.market)
    assert (client.registry.suspension_delay(), client.reputation.delay()) == (1, 1)
    assert client.market.paused() is False
