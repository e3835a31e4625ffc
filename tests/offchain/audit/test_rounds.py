"""The audit of rounds that daemons seldom see, played without models: drawn cohorts,
contradictions, cancelled requests, useless deliveries, wallets that sign."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedpact.audit import AuditReport, audit
from fedpact.audit.chain import Facts
from fedpact.audit.report import Verdict
from fedpact.chain.bindings.calls import signature_at
from fedpact.chain.bindings.events import (
    Credited,
    Delivered,
    Place,
    RoundTallied,
    SliceOpened,
    Started,
    VotesCommitted,
    VotesRevealed,
)
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.chain.signed_messages import BLIND, Anchored, WalletSignature, pack_signatures
from fedpact.consensus import draw
from fedpact.consensus.draw import cohort
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries, Delivery
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.wrong_key_proof import dispute_context, prove
from fedpact.errors import InvalidInput
from fedpact.types.requests import Join, MessageKind, seats_of
from tests.support.chain_request import (
    SECRET,
    SLICE_KEY,
    ChainRequest,
    People,
    signed,
)
from tests.support.wallets import TAKES_ANYTHING

CONTENT = {
    *("specification_digest", "initial_model", "evaluation_slices", "invited", "key_manifest"),
    *("privacy", "artefacts", "request_key", "start_keys", "models", "scores", "aggregates"),
    "global_errors",
    "sums",
}
"""Items that need content, which these requests do not have."""
FINAL = b"\x09" * 32
"""Digest of the model that is attested."""
WALLET = bytes.fromhex(TAKES_ANYTHING[2:])
"""Code of a contract that agrees to every signature (ERC-1271): returns the selector."""

TWO_CALLS = (
    "60203603 60205f37 5f5f 5f35 5f5f 73{to} 5af1 5f5f 5f356020013603 5f35 5f 73{to} 5af1"
    "16604f57 5f5ffd 5b00"
)
"""Code of a contract that calls `to` twice, or reverts: its calldata is the length of the first
call's calldata as one word, then that of both."""


@pytest.fixture(scope="module")
def people(anvil: Devnet, client: ChainClient, operator: AccountKeys) -> People:
    return People.admitted(anvil, client, operator, members=4)


def audited(request: ChainRequest, tmp_path: Path) -> dict[str, str]:
    """What the audit found, by item; all that does not need content holds."""
    report = flawless(request, tmp_path)
    _all_but_content(report)
    return {item.name: item.detail for item in report.items}


def flawless(request: ChainRequest, tmp_path: Path) -> AuditReport:
    """An audit without content, in which nothing fails."""
    report = audit(request.client, EmbeddedStore(tmp_path / "empty"), request.id)
    assert not [item for item in report.items if item.verdict is Verdict.FAILS]
    return report


def _all_but_content(report: AuditReport) -> None:
    missing = {item.name for item in report.unavailable}
    assert missing <= CONTENT | {"delivery", "leader_order"}, report.unavailable


def events_of(request: ChainRequest, kind: type[Any]) -> list[Any]:
    return [one for one in request.client.request_events(request.id) if isinstance(one, kind)]


def settle(request: ChainRequest, keys: AccountKeys) -> None:
    entries = [one.entry for one in events_of(request, Credited)]
    call = request.client.market.settle(request.id, request.terms, entries)
    request.send(keys, call)


def vote(request: ChainRequest, votes: dict[int, int], opening: set[int]) -> None:
    """Open the slice; each seat commits to its vote; one call reveals those of `opening`."""
    rounds, members, keys = request.client.rounds, request.people.members, request.people.requester
    request.send(keys, rounds.open_slice(request.id, (), keys.address, SLICE_KEY, None))
    salts = {seat: bytes([7 + seat]) * 32 for seat in votes}
    committed = [
        (
            seat,
            rounds.domain.commitment(request.id, 1, members[seat].address, word, salts[seat]),
        )
        for seat, word in votes.items()
    ]
    for seat, one in committed:
        request.send(members[seat], rounds.commit_votes(request.id, 1 << seat, [one], []))
    opened = sorted(opening)
    [slice_] = events_of(request, SliceOpened)
    call = rounds.reveal_votes(
        request.id,
        Anchored(slice_.log, tuple(committed)),
        sum(1 << seat for seat in opened),
        [votes[seat] for seat in opened],
        [salts[seat] for seat in opened],
    )
    request.send(members[0], call)


def tally_and_attest(request: ChainRequest, attesting: set[int]) -> None:
    """A tally, where hidden votes need one, comes with the first attestation."""
    rounds, members = request.client.rounds, request.people.members
    first, *others = (
        rounds.attest(request.id, 1 << seat, FINAL, 700 << 14 * seat, [])
        for seat in sorted(attesting)
    )
    seats = sorted(attesting)
    if not events_of(request, RoundTallied):
        first = rounds.multicall([rounds.tally(request.id, anchored(request)), first])
    request.send(members[seats[0]], first)
    for seat, call in zip(seats[1:], others, strict=True):
        request.send(members[seat], call)


def anchored(request: ChainRequest) -> Anchored:
    """Of round 1."""
    [slice_] = events_of(request, SliceOpened)
    commitments = [
        pair
        for event in events_of(request, VotesCommitted)
        for pair in zip(seats_of(event.mask), event.commitments, strict=True)
    ]
    votes = [
        pair
        for event in events_of(request, VotesRevealed)
        for pair in zip(seats_of(event.mask), event.votes, strict=True)
    ]
    return Anchored(slice_.log, tuple(commitments), tuple(votes))


def finalise(request: ChainRequest, attested: set[int]) -> None:
    [tallied] = events_of(request, RoundTallied)
    listed = [(seat, FINAL, 700) for seat in sorted(attested)]
    call = request.client.rounds.finalise(request.id, tallied.log, tallied.board, listed)
    request.send(request.people.members[2], call)


def test_cohorts_are_drawn_again(
    client: ChainClient, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[bytes] = []

    def counted(seed: bytes, *given: Any) -> tuple[int, ...]:
        seeds.append(seed)
        return cohort(seed, *given)

    monkeypatch.setattr(draw, "cohort", counted)
    request = ChainRequest.created(client, people, cohort=2, max_rounds=3).running()
    for _ in range(3):
        request.post()
    request.deliver()
    settle(request, people.requester)
    found = audited(request, tmp_path)
    rounds = found["draws"].split("; ")
    assert [one.partition(":")[0] for one in rounds] == ["1", "2", "3"]
    assert found["records"] == "3 rounds posted as a whole"
    assert len(seeds) == len(set(seeds)) == 3


def test_contradictions_and_silence_are_counted(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path
) -> None:
    """Member 3 signs two models, member 2 is silent; the others finish the round."""
    request = ChainRequest.created(client, people, max_rounds=1).running()
    request.submit(0, 1, 3)
    domain, hostile = client.rounds.domain, people.members[3]
    said = [signed(hostile, domain.model(request.id, 1, bytes([n]) * 32)) for n in (1, 2)]
    call = client.rounds.report_equivocation(
        request.id,
        3,
        MessageKind.MODEL,
        (b"\1" * 32, 0),
        (b"\2" * 32, 0),
        (said[0], said[1]),
    )
    request.send(people.members[0], call)
    anvil.mine(2, request.terms.submit_window + 100)  # Twice: half of the members are missing.
    vote(request, {0: 1_100 << 14 | 1_300 << 42, 1: 1_000 | 1_300 << 42}, {0, 1})
    tally_and_attest(request, {0, 1})
    finalise(request, {0, 1})
    request.deliver()
    settle(request, people.requester)
    found = audited(request, tmp_path)
    assert found["faults"] == "2 faults"
    assert found["submissions"] == "3 models in 1 round"
    assert found["commitments"] == "2 votes opened on chain"


def test_a_vote_that_is_hidden_and_an_attestation_that_is_contradicted(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path
) -> None:
    """Member 3 commits and does not open; member 2 attests two models."""
    request = ChainRequest.created(client, people, max_rounds=1).running()
    request.submit(0, 1, 2, 3)
    word = sum(1_000 << 14 * seat for seat in range(4))
    votes = {seat: word & ~(0x3FFF << 14 * seat) for seat in range(4)}
    vote(request, votes, {0, 1, 2})
    anvil.mine(2, request.terms.reveal_window // 2 + 100)
    tally_and_attest(request, {0, 1, 2})
    domain, said = client.rounds.domain, [(FINAL, 700), (b"\x0c" * 32, 700)]
    signatures = [signed(people.members[2], domain.attest(request.id, 1, *one)) for one in said]
    call = client.rounds.report_equivocation(
        request.id, 2, MessageKind.ATTEST, said[0], said[1], (signatures[0], signatures[1])
    )
    request.send(people.members[0], call)
    finalise(request, {0, 1, 2})
    request.deliver()
    settle(request, people.requester)
    found = audited(request, tmp_path)
    assert found["faults"] == "2 faults"
    assert found["commitments"] == "3 votes opened on chain"
    assert found["finals"] == "1 final round"


def test_silence_at_the_end_is_at_fault_and_stops_nobody(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path
) -> None:
    """Member 3 attests nothing; the round is final without it."""
    request = ChainRequest.created(client, people, max_rounds=1).running()
    request.submit(0, 1, 2, 3)
    word = sum(1_000 << 14 * seat for seat in range(4))
    vote(request, {seat: word & ~(0x3FFF << 14 * seat) for seat in range(4)}, {0, 1, 2, 3})
    tally_and_attest(request, {0, 1, 2})
    anvil.mine(2, request.terms.attest_window)
    finalise(request, {0, 1, 2})
    request.deliver()
    settle(request, people.requester)
    found = audited(request, tmp_path)
    assert found["faults"] == "1 fault"
    assert found["finals"] == "1 final round"


def test_a_hidden_vote_shares_in_no_blind_round(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path
) -> None:
    """Three say that the slice does not open; member 3 hides its vote."""
    request = ChainRequest.created(client, people, max_rounds=1).running()
    request.submit(0, 1, 2, 3)
    vote(request, dict.fromkeys(range(4), BLIND), {0, 1, 2})
    anvil.mine(2, request.terms.reveal_window // 2 + 100)
    tally_and_attest(request, {0, 1, 2, 3})
    finalise(request, {0, 1, 2, 3})
    request.deliver()
    settle(request, people.requester)
    found = audited(request, tmp_path)
    assert found["faults"] == "1 fault"
    assert found["included"] == "1 round, 1 blind"
    [credited] = [one for one in events_of(request, Credited) if one.points]
    assert credited.points >> 16 * 3 == 0


def test_a_cancelled_round_and_what_it_cost_the_requester(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path
) -> None:
    request = ChainRequest.created(client, people, max_rounds=2).running()
    request.submit(1, 2)
    request.send(people.requester, client.market.cancel(request.id))
    anvil.mine(2, request.terms.submit_window)
    request.send(people.members[0], client.rounds.tally(request.id, Anchored(bytes(32))))
    settle(request, people.members[0])
    found = audited(request, tmp_path)
    assert found["included"] == "1 round, 1 blind"
    assert found["settlement"].startswith("paid: ")
    assert found["faults"] == "0 faults"


def test_a_void_start_is_followed_by_another(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path
) -> None:
    request = ChainRequest.created(client, people, max_rounds=1).running()
    anvil.mine(2, request.terms.submit_window)
    request.send(people.members[3], client.rounds.close(request.id))
    anvil.mine(2, 10)
    facts = replace(events_of(request, Started)[0].start, manifest=b"\x0a" * 32)
    request.send(people.members[1], client.rounds.start(request.id, 1, facts))
    request.post()
    request.deliver()
    settle(request, people.requester)
    assert audited(request, tmp_path)["starts"] == "2 starts"


@pytest.mark.parametrize("ends", ["cancelled", "expired"])
def test_a_void_start_may_be_the_last(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path, ends: str
) -> None:
    request = ChainRequest.created(client, people, max_rounds=1).running()
    anvil.mine(2, request.terms.submit_window)
    request.send(people.members[3], client.rounds.close(request.id))
    if ends == "cancelled":
        request.send(people.requester, client.market.cancel(request.id))
    else:
        anvil.mine(2, 4 * request.terms.start_window)
        request.send(people.members[3], client.rounds.expire(request.id))
    settle(request, people.requester)
    found = {item.name: item.detail for item in flawless(request, tmp_path).items}
    assert found["outcome"] == "0 final rounds, target not reached"


def test_a_final_round_in_which_every_voter_lies_outside_the_band_pays_nobody(
    client: ChainClient, people: People, tmp_path: Path
) -> None:
    """Of the three votes on a model one is the median, and nobody has more than one such."""
    request = ChainRequest.created(client, people, max_rounds=1).running()
    far = (4_000, 1_000, 8_000)
    votes = tuple(
        sum(far[(voter - judged) % 4 - 1] << 14 * judged for judged in range(4) if judged != voter)
        for voter in range(4)
    )
    request.post(replace(request.record(), votes=votes))
    assert client.rounds.outcome(request.id).paid_rounds == 0
    request.deliver()
    settle(request, people.requester)
    found = audited(request, tmp_path)
    assert found["finals"] == "1 final round"
    assert found["faults"] == "4 faults"


def test_a_useless_delivery_was_disputed_rightly(
    client: ChainClient, people: People, tmp_path: Path
) -> None:
    request = ChainRequest.created(client, people, max_rounds=1)
    right = request.deliveries
    request.deliveries = Deliveries(right.ephemeral, (b"\x0b" * 32,), right.key_digests)
    request.running()
    request.post()
    request.deliver()
    [sent] = events_of(request, Delivered)
    given = Delivery(Point(*sent.ephemeral), sent.cipher, sent.key_digest, sent.proof)
    context = dispute_context(client.deployment.chain_id, client.deployment.market, request.id)
    shown = prove(SECRET, given, 1, context)
    call = client.market.dispute(request.id, request.terms, given.fields, shown.fields)
    request.send(people.requester, call)
    settle(request, people.members[0])
    found = audited(request, tmp_path)
    assert found["delivery"] == "the delivered key is not the model's: disputed"
    assert found["settlement"] == f"guilty: 0 of {request.terms.pay}"


def test_what_is_under_way_holds_so_far(
    client: ChainClient, people: People, tmp_path: Path
) -> None:
    request = ChainRequest.created(client, people)
    store = EmbeddedStore(tmp_path / "empty")
    for act in (request.enrol, request.start, lambda: request.submit(0, 2), request.post):
        act()
        assert not audit(client, store, request.id).failed


def test_a_wallets_signature_is_asked_for_at_the_wallet(
    anvil: Devnet, client: ChainClient, people: People
) -> None:
    """In a string with that of a key; a wallet that is not there has not signed."""
    request = ChainRequest.created(client, people)
    wallet, keys = anvil.new_account().address, people.members[0]
    message = client.rounds.domain.model(request.id, 1, b"\1" * 32)
    packed = pack_signatures([WalletSignature(b"any"), signed(keys, message)])
    said = [(wallet, message), (keys.address, message)]
    facts = Facts(client, request.id, client.frame())
    here = Place(facts.frame.block_number, 0, "", None)
    assert facts.all_sign(said, "", packed, here) == 0
    client.rpc.call("anvil_setCode", wallet, "0x" + WALLET.hex().replace("1626ba7e", "ffffffff"))
    anvil.mine(1, 1)
    refusing = replace(here, block=client.frame().block_number)
    assert facts.all_sign(said, "", packed, refusing) == 0
    client.rpc.call("anvil_setCode", wallet, "0x" + WALLET.hex())
    anvil.mine(1, 1)
    there = replace(here, block=client.frame().block_number)
    assert facts.all_sign(said, "", packed, there) is None
    assert facts.all_sign(said[:1], wallet, b"", there) is None
    assert facts.all_sign(said[1:], "", pack_signatures([signed(keys, message)])[:63], there) == 0
    other = client.rounds.domain.model(request.id, 2, b"\1" * 32)
    assert facts.all_sign([(wallet, message), (keys.address, other)], "", packed, there) == 1


def test_a_string_of_signatures_that_ends_early_is_refused() -> None:
    packed = pack_signatures([WalletSignature(b"wallet")])
    assert signature_at(packed, 0).content == b"wallet"
    for short in (packed[:63], packed[:80], packed[:-1]):
        with pytest.raises(InvalidInput, match="bytes of signatures"):
            signature_at(short, 0)


def test_two_enrolments_that_a_contract_makes_at_once_are_not_taken_for_one(
    anvil: Devnet, client: ChainClient, people: People, tmp_path: Path
) -> None:
    """Events tell nothing of where one call ends, and the order of the pool follows from it: the
    audit called an honest pool false. Now it says what it cannot know."""
    request, members = ChainRequest.created(client, people), people.members
    terms_hash = client.market.terms_hash(request.terms)

    def enrolment(*joining: AccountKeys, sender: AccountKeys | None = None) -> Call:
        message = client.pool.domain.join(request.id, 100, bytes(32), terms_hash)
        joins = [Join(keys.address, 100, bytes(32)) for keys in joining]
        given = [signed(keys, message) for keys in joining if keys is not sender]
        return client.pool.enrol(request.id, joins, given)

    request.send(members[0], enrolment(members[0], members[3], sender=members[0]))
    contract = anvil.new_account().address
    code = TWO_CALLS.format(to=client.deployment.pool[2:]).replace(" ", "")
    client.rpc.call("anvil_setCode", contract, "0x" + code)
    first, second = enrolment(members[1]).data, enrolment(members[2]).data
    both = len(first).to_bytes(32) + first + second
    request.send(members[0], Call(contract, both))
    joined = [one.account for one in client.pool.members(request.id)]
    assert joined == [members[at].address for at in (0, 1, 3, 2)]

    request.start()
    report = audit(client, EmbeddedStore(tmp_path / "empty"), request.id)
    assert not report.failed
    [told] = {item.detail for item in report.unavailable if item.name in ("opt_ins", "draws")}
    assert "by another contract" in told
