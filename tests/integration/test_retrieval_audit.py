"""What an audit says of the search on record, and which searches a draft can invite from."""

import time
from dataclasses import replace

import pytest

from fedpact.audit.report import Broken
from fedpact.audit.retrieval import check_record
from fedpact.chain.devnet import Devnet
from fedpact.errors import InvalidInput, SpecificationError
from fedpact.requester.draft import Draft
from fedpact.requester.provider_search import query_of
from fedpact.retrieval.search_record import FoundProvider, RetrievalRecord
from fedpact.retrieval.signing import NONCE_BYTES, sign_search
from tests.support.committee import PAYMENT, DigitsMarket, open_digits_market


@pytest.fixture(scope="module")
def market(anvil: Devnet, tmp_path_factory: pytest.TempPathFactory) -> DigitsMarket:
    return open_digits_market(anvil, tmp_path_factory.mktemp("searched"))


def record_of(market: DigitsMarket, accounts: list[str], **changes: object) -> RetrievalRecord:
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


def said(market: DigitsMarket, record: RetrievalRecord, invited: list[str]) -> str:
    digest = market.store.put(record.encode()).digest
    requester = market.requester_keys.address
    return check_record(market.store, digest, market.client.deployment, requester, invited)


def test_a_record_that_is_not_the_requesters_own_fails(market: DigitsMarket) -> None:
    named = [keys.address for keys in market.providers]
    assert said(market, record_of(market, named), named) == "found 3 in 3 messages"
    other_query = query_of(["wheat"]).encode().hex()
    cases = {
        "another query": record_of(market, named, query=other_query),
        "another deployment": record_of(market, named, deployment="ab" * 32),
        "not found by the search": record_of(market, named[:2]),
    }
    for message, record in cases.items():
        with pytest.raises(Broken, match=message):
            said(market, record, named)
    stranger = replace(market.people, requester=market.providers[0])
    theirs = record_of(replace(market, people=stranger), named)
    with pytest.raises(Broken, match="not signed by"):
        said(market, theirs, named)


def test_invitations_that_contradict_are_refused(market: DigitsMarket) -> None:
    fingerprint = market.client.deployment.fingerprint
    one = record_of(market, [market.providers[0].address])
    with pytest.raises(SpecificationError, match="leave it out to invite"):
        Draft({"invited": []}).inviting(one, fingerprint)
    with pytest.raises(InvalidInput, match="another deployment"):
        Draft({}).inviting(one, bytes(32))
    with pytest.raises(InvalidInput, match="no provider to invite"):
        Draft({}).inviting(record_of(market, []), fingerprint)
    with pytest.raises(SpecificationError, match="1 are invited, min_providers is 3"):
        market.requester.prepare(
            market.draft().inviting(one, fingerprint), market.evaluation, PAYMENT
        )
