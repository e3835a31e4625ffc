"""What an audit says of who was invited and of the search on record."""

import time
from copy import deepcopy
from dataclasses import replace

import pytest

from fedpact.audit.first.chain import ChainFacts
from fedpact.audit.first.evidence import Evidence, gather
from fedpact.audit.first.retrieval import RetrievalChecks
from fedpact.audit.report import Broken
from fedpact.chain.scanner import EventScanner
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.requester.draft import Draft
from fedpact.requester.search import query_of
from fedpact.retrieval.record import FoundProvider, RetrievalRecord
from fedpact.retrieval.signing import NONCE_BYTES, sign_search
from tests.support.committee import PAYMENT, Committee, Market


def record_of(market: Market, accounts: list[str], **changes: object) -> RetrievalRecord:
    query = query_of(["hockey"])
    deployment = market.client.deployment
    signed = sign_search(
        market.requester_keys,
        deployment,
        query,
        "sports",
        timestamp=int(time.time()),
        nonce=bytes(NONCE_BYTES),
    )
    found = tuple(FoundProvider(account=a, digest="ab" * 32, likeness=0.5) for a in accounts)
    one = RetrievalRecord(
        deployment=deployment.fingerprint.hex(),
        envelope=signed.encode().hex(),
        query=query.encode().hex(),
        entry="http://127.0.0.1:1",
        messages=3,
        hops=1,
        found=found,
    )
    return one.model_copy(update=changes)


@pytest.fixture(scope="module")
def invited(market: Market) -> Committee:
    """A request from a search that found two of the three providers and the auditor."""
    named = [market.providers[0].address, market.providers[1].address, market.auditor.address]
    request = market.requester.create(
        market.draft(), market.evaluation, PAYMENT, retrieval=record_of(market, named)
    )
    for keys, part in zip(market.providers[:2], market.parts, strict=False):
        market.client.market.join(keys, request, len(part), bytes(32))
    return Committee(market, request)


def checks(committee: Committee, evidence: Evidence | None = None) -> RetrievalChecks:
    market = committee.market
    facts = ChainFacts(market.client, committee.request_id, market.client.frame())
    found = evidence or gathered(committee)
    return RetrievalChecks(found, facts, market.store, lambda: committee.spec)


def gathered(committee: Committee) -> Evidence:
    client = committee.market.client
    events = EventScanner(client, client.deployment.block).scan(client.frame())
    return gather(committee.request_id, events)


def with_record(committee: Committee, record: RetrievalRecord) -> Evidence:
    evidence = deepcopy(gathered(committee))
    digest = committee.market.store.put(record.encode()).digest
    evidence.resale = [replace(one, args={**one.args, "digest": digest}) for one in evidence.resale]
    return evidence


def test_those_invited_joined_and_the_search_is_the_requesters(invited: Committee) -> None:
    assert checks(invited).invited() == "2 of 3 invited joined"
    assert checks(invited).retrieval_record() == "found 3 in 3 messages"


def test_a_request_without_invitation_is_open_to_all(finished: Committee) -> None:
    assert checks(finished).invited() == "open to all"
    assert checks(finished).retrieval_record() == "no search on record"


def test_an_uninvited_member_is_named(invited: Committee) -> None:
    stranger = invited.market.providers[2].address
    evidence = deepcopy(gathered(invited))
    evidence.seats[2] = (stranger, 100)
    with pytest.raises(Broken, match=stranger):
        checks(invited, evidence).invited()


def test_a_record_that_is_not_the_requesters_own_fails(invited: Committee) -> None:
    market = invited.market
    named = list(invited.spec.invited)
    other_query = query_of(["wheat"]).encode().hex()
    cases = {
        "another query": record_of(market, named, query=other_query),
        "another deployment": record_of(market, named, deployment="ab" * 32),
        "not found by the search": record_of(market, named[:2]),
    }
    for message, record in cases.items():
        with pytest.raises(Broken, match=message):
            checks(invited, with_record(invited, record)).retrieval_record()
    theirs = replace(market, requester_keys=market.providers[0])
    with pytest.raises(Broken, match="not signed by"):
        checks(invited, with_record(invited, record_of(theirs, named))).retrieval_record()


def test_invitations_that_contradict_are_refused(market: Market) -> None:
    fingerprint = market.client.deployment.fingerprint
    one = record_of(market, [market.providers[0].address])
    with pytest.raises(SpecificationError, match="leave it out to invite"):
        Draft({"invited": []}).inviting(one, fingerprint)
    with pytest.raises(InvalidInput, match="another deployment"):
        Draft({}).inviting(one, bytes(32))
    with pytest.raises(InvalidInput, match="no provider to invite"):
        Draft({}).inviting(record_of(market, []), fingerprint)
    with pytest.raises(SpecificationError, match="1 are invited, min_providers is 3"):
        market.requester.prepare(market.draft().inviting(one, fingerprint), market.evaluation)
