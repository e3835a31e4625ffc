"""Each function of the contracts from Python, and what the views say through a request's life."""

import re

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.audit.first.protocol import TERMS_TYPES
from fedpact.chain.abi import contract_abi
from fedpact.chain.bindings.binding import Binding
from fedpact.chain.bindings.market import Market
from fedpact.chain.bindings.registry import Registry
from fedpact.chain.bindings.resale import ResaleMarket
from fedpact.chain.bindings.rounds import Rounds
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.errors import Reverted, UnknownRequest
from fedpact.types.participants import Participant, ParticipantStatus
from fedpact.types.resale import Purchase, PurchaseStatus
from fedpact.types.rounds import Member, RequestStatus, RoundOutcome, RoundRecord, Stage, Terms
from tests.offchain.chain.people import admitted

ZERO_ADDRESS = "0x" + "00" * 20
INVALID = 16_383
FOR_CONTRACTS = {
    "ParticipantRegistry": {"recordOutcomes", "seatInfo", "statusChanges", "market", "rounds"},
    "SharingMarket": set[str](),
    "TrainingRounds": {
        *("prepare", "enlist", "unseat", "open", "halt"),
        *("shareOf", "shareOfHolder", "deliverable", "results", "member"),
    },
    "ResaleMarket": set[str](),
}
"""Called by the other contracts, or standing in the deployment file."""
OF_OPENZEPPELIN = {
    "owner",
    "pendingOwner",
    "transferOwnership",
    "acceptOwnership",
    "renounceOwnership",
    "eip712Domain",
}
CONSTANT = re.compile(r"[A-Z_0-9]+")


@pytest.mark.parametrize("binding", [Registry, Market, Rounds, ResaleMarket])
def test_each_function_for_people_has_a_method(binding: type[Binding]) -> None:
    names = set(contract_abi(binding.NAME).functions) - FOR_CONTRACTS[binding.NAME]
    names = {name for name in names - OF_OPENZEPPELIN if not CONSTANT.fullmatch(name)}
    missing = {
        name for name in names if not hasattr(binding, re.sub("([A-Z])", r"_\1", name).lower())
    }
    assert not missing


def test_a_participant_is_read_as_stored(
    client: ChainClient, registrar: AccountKeys, stranger: AccountKeys
) -> None:
    assert client.registry.participant(stranger.address) == Participant(
        stranger.address, 0, ParticipantStatus.NONE, 0, 0, False, bytes(32), bytes(32), 4000
    )
    receipt = client.registry.admit(
        registrar, stranger.address, 77, b"k" * 32, b"p" * 32, b"a" * 32
    )
    at = client.frame_at(receipt.block)
    assert at is not None
    profile_hash = keccak(b"p" * 32 + b"a" * 32)
    assert client.registry.participant(stranger.address) == Participant(
        stranger.address,
        77,
        ParticipantStatus.ACTIVE,
        1,
        at.timestamp,
        False,
        b"k" * 32,
        profile_hash,
        4000,
    )

    client.registry.attest_attributes(registrar, stranger.address, profile_hash)
    client.registry.set_encryption_key(stranger, b"l" * 32)
    client.registry.suspend(registrar, stranger.address)
    found = client.registry.participant(stranger.address)
    assert found.attested
    assert (found.key_version, found.encryption_key) == (2, b"l" * 32)
    assert found.status is ParticipantStatus.SUSPENDED
    assert not found.active
    asked = [registrar.address, stranger.address]
    assert client.registry.active_mask(asked) == 0
    client.registry.restore(registrar, stranger.address)
    assert client.registry.active_mask(asked) == 0b10


def test_registrar_hands_over_in_two_steps(
    client: ChainClient, registrar: AccountKeys, stranger: AccountKeys
) -> None:
    client.registry.transfer_registrar(registrar, stranger.address)
    assert client.registry.registrar() == registrar.address
    client.registry.accept_registrar(stranger)
    assert client.registry.registrar() == stranger.address
    client.registry.transfer_registrar(stranger, registrar.address)
    client.registry.accept_registrar(registrar)
    assert client.registry.registrar() == registrar.address


def test_attribute_is_verified_against_the_present_profile(
    client: ChainClient, participant: AccountKeys
) -> None:
    name, value, salt, other = b"n" * 32, b"v" * 32, b"s" * 32, b"\xff" * 32
    leaf = keccak(b"\x00" + name + value + salt)
    root = keccak(b"\x01" + min(leaf, other) + max(leaf, other))
    client.registry.set_profile(participant, b"p" * 32, root)

    def verified(claimed: bytes) -> tuple[bool, bool]:
        return client.registry.verify_attribute(
            participant.address, b"p" * 32, root, [other], name, claimed, salt
        )

    assert verified(value) == (True, False)
    assert verified(b"w" * 32) == (False, False)


def test_reputation_is_weighed_by_payment(client: ChainClient) -> None:
    unit = client.registry.reputation_unit()
    assert unit == 10**15
    assert client.registry.outcome_weight(unit - 1) == 0
    assert client.registry.outcome_weight(3 * unit) == 3
    assert client.registry.reputation(ZERO_ADDRESS) == 4000


def test_a_request_that_does_not_exist_is_unknown(client: ChainClient) -> None:
    for ask in (client.market.request, client.market.terms):
        with pytest.raises(UnknownRequest, match="knows no request 987654"):
            ask(987654)


def test_a_request_is_read_as_published(
    anvil: Devnet, client: ChainClient, participant: AccountKeys, terms: Terms
) -> None:
    before = client.market.request_count()
    receipt = client.market.create_request(participant, terms, 10**16)
    request_id = receipt.event("RequestCreated").args["requestId"]
    frame = client.frame_at(receipt.block)
    assert frame is not None

    record = client.market.request(request_id)
    assert request_id == before + 1 == client.market.request_count()
    assert record.requester == participant.address == client.market.requester_of(request_id)
    assert (record.payment, record.status) == (10**16, RequestStatus.OPEN)
    assert record.join_deadline == record.close_time == frame.timestamp + 60
    assert (record.joined, record.claimed) == (0, 0)
    assert (record.start_window, record.deliver_window) == (61, 66)
    assert (record.max_rounds, record.min_providers, record.max_providers) == (7, 2, 3)
    assert not record.settled
    assert not record.refunded
    assert not record.delivered
    assert client.market.terms(request_id) == terms
    terms_hash = keccak(encode(TERMS_TYPES, [*vars(terms).values()]))
    assert client.rounds.round_state(request_id).history == terms_hash
    assert client.market.refundable(request_id) == 0

    client.market.cancel(participant, request_id)
    assert client.market.request(request_id).status is RequestStatus.CANCELLED
    assert client.market.refundable(request_id) == 10**16
    client.market.refund(participant, request_id, client.rounds.committee(request_id))
    assert client.market.request(request_id).refunded


def test_a_round_is_read_in_each_phase(
    anvil: Devnet, client: ChainClient, registrar: AccountKeys, terms: Terms
) -> None:
    market, rounds = client.market, client.rounds
    requester, alice, bob, carol = (admitted(anvil, client, registrar) for _ in range(4))
    people = (alice, bob, carol)
    created = market.create_request(requester, terms, 10**16)
    request_id: int = created.event("RequestCreated").args["requestId"]

    for number, member in enumerate(people):
        joined = market.join(member, request_id, 100 + number, b"t" * 32).event("Joined")
        assert (joined.args["seat"], joined.args["samples"]) == (number, 100 + number)
    record = market.request(request_id)
    assert record.joined == 3
    assert record.close_time <= record.join_deadline
    assert rounds.members(request_id) == [
        Member(seat, one.address, 100 + seat, 4000) for seat, one in enumerate(people)
    ]
    resale = client.resale
    found = resale.record_retrieval(requester, request_id, b"r" * 32).event("RetrievalRecorded")
    assert found.args["digest"] == b"r" * 32
    resale.offer(requester, request_id, 1_000)
    assert resale.offered(request_id) == (1_000, 0)
    before = rounds.round_state(request_id)
    assert (before.round, before.stage, before.last_leader) == (0, Stage.NONE, None)

    market.withdraw(carol, request_id, 2)
    market.join(carol, request_id, 102, b"t" * 32)
    committee = [one.address for one in people]
    assert rounds.committee(request_id) == committee
    assert rounds.seat_of(request_id, bob.address) == 1
    assert rounds.seat_of(request_id, requester.address) is None
    terms_hash = rounds.round_state(request_id).history
    market.start(alice, request_id, 0, b"m" * 32, b"h" * 32, committee)
    state, seat = rounds.duty(request_id, bob.address)
    assert seat == 1
    assert rounds.duty(request_id, requester.address)[1] is None
    assert (state.round, state.stage) == (1, Stage.SUBMIT)
    assert state.stage_deadline == state.stage_start + 62
    assert (state.seats, state.members, state.expected, state.barred) == (3, 0b111, 0b111, 0)
    assert state.history == keccak(terms_hash + b"m" * 32 + b"h" * 32)
    assert not state.ended
    assert state.final_digest == bytes(32)
    assert rounds.final_digest(request_id) is None

    for number, member in enumerate(people):
        rounds.submit(member, request_id, number, bytes([number + 1]) * 32)
    assert rounds.round_state(request_id).stage is Stage.COMMIT
    with pytest.raises(Reverted, match="TrainingRounds_WrongPhase"):
        rounds.submit(alice, request_id, 0, b"x" * 32)
    assert rounds.submissions(bob.address) == [(request_id, 1, b"\2" * 32)]
    assert rounds.submissions(requester.address) == []

    rounds.open_slice(requester, request_id, b"s" * 32)
    assert rounds.round_state(request_id).slice_opened
    votes = [packed([0, INVALID, 500]), packed([200, 0, 400]), packed([100, INVALID, 0])]
    salts = [bytes([40 + number]) * 32 for number in range(3)]
    for number, member in enumerate(people):
        rounds.commit_vote(
            member,
            request_id,
            number,
            commitment(client, request_id, member, votes[number], salts[number]),
        )
    for number, member in enumerate(people):
        rounds.reveal_vote(member, request_id, number, votes[number], salts[number])
    assert rounds.round_state(request_id).stage is Stage.TALLY

    tallied = rounds.tally(requester, request_id, committee).event("RoundTallied")
    state = rounds.round_state(request_id)
    assert state.stage is Stage.ATTEST
    medians = packed([150, INVALID, 450] + 13 * [INVALID])
    assert tallied.args["medians"] == medians
    assert (tallied.args["valid"], tallied.args["included"]) == (0b101, 0b101)
    assert state.paid_rounds == 1
    digests = tuple(bytes([i + 1]) * 32 for i in range(3))
    record_ = RoundRecord(1, (0, 1, 2), digests, True, 0b111, tuple(votes), medians)
    begin = (request_id, terms_hash, b"m" * 32, b"h" * 32)
    assert rounds.verify_history(*begin, [record_])
    assert not rounds.verify_history(*begin, [])
    points, faults = rounds.points(request_id)
    assert sum(points) > 0
    assert len(points) == len(faults) == 3

    final = b"\xf0" * 32
    for number, member in enumerate(people):
        rounds.attest(
            member, request_id, number, attestation(client, request_id, member, final, 400), 400
        )
    order = rounds.leader_order(request_id)
    assert set(order) == {0, 2}
    first = order[0]
    proposal = rounds.propose(people[first], request_id, first, final, 400, committee)
    done = proposal.event("RoundFinalised")
    assert (done.args["leader"], done.args["mae"]) == (first, 400)
    state = rounds.round_state(request_id)
    assert (state.stage, state.ended, state.reached) == (Stage.ENDED, True, True)
    assert (state.final_rounds, state.last_leader, state.final_digest) == (1, first, final)
    assert rounds.final_digest(request_id) == final
    assert state.ended_at > 0
    assert rounds.outcome(request_id) == RoundOutcome(
        ended=True,
        reached=True,
        seats=3,
        last_leader=first,
        members=0b111,
        ever=0b111,
        paid_rounds=1,
        final_rounds=1,
        ended_at=state.ended_at,
    )

    market.deliver(people[first], request_id, first, b"k" * 80, committee)
    assert market.request(request_id).delivered
    with pytest.raises(Reverted, match="SharingMarket_AlreadySettled"):
        market.settle(requester, request_id, committee)
    owed = [market.claimable(request_id, seat) for seat in range(3)]
    assert owed[first] > owed[2 - first] > 0 == owed[1]
    paid = market.claim(alice, request_id, 0).event("Claimed").args["amount"]
    record = market.request(request_id)
    assert paid == owed[0]
    assert record.settled
    assert record.claimed == 0b001

    buyer = admitted(anvil, client, registrar)
    assert resale.purchase(request_id, buyer.address) == Purchase(PurchaseStatus.NONE, 0, 0)
    bought = resale.buy(buyer, request_id, committee, 1_000).event("ResultBought")
    purchase = Purchase(PurchaseStatus.PENDING, 1_000, bought.args["deadline"])
    assert resale.purchase(request_id, buyer.address) == purchase
    with pytest.raises(Reverted, match="ResaleMarket_TooEarly"):
        resale.refund(buyer, request_id)
    sealed = resale.seal(alice, request_id, 0, buyer.address, b"s" * 80).event("KeySealed")
    assert (sealed.args["holder"], sealed.args["sealedKey"]) == (alice.address, b"s" * 80)
    assert resale.offered(request_id) == (1_000, 1_000)
    points, _ = rounds.points(request_id)
    again = resale.claim(alice, request_id, 0).event("ResaleClaimed").args["amount"]
    assert again == 1_000 * points[0] // sum(points)
    assert resale.claimable(request_id, 0) == 0
    assert [event.name for event in resale.events(request_id)] == [
        *("RetrievalRecorded", "ResaleOffered", "ResultBought", "KeySealed", "ResaleClaimed")
    ]


def packed(scores: list[int]) -> int:
    return sum(score << 14 * seat for seat, score in enumerate(scores))


def commitment(
    client: ChainClient, request_id: int, member: AccountKeys, votes: int, salt: bytes
) -> bytes:
    kinds = ["uint256", "address", "uint256", "uint256", "address", "uint256", "bytes32"]
    rounds = client.rounds.address
    return keccak(
        encode(kinds, [client.chain_id, rounds, request_id, 1, member.address, votes, salt])
    )


def attestation(
    client: ChainClient, request_id: int, member: AccountKeys, digest: bytes, mae: int
) -> bytes:
    kinds = ["uint256", "address", "uint256", "uint256", "bytes32", "uint256", "address"]
    rounds = client.rounds.address
    return keccak(
        encode(kinds, [client.chain_id, rounds, request_id, 1, digest, mae, member.address])
    )
