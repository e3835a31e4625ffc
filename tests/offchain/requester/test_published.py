"""What a buyer takes for the specification of somebody else's request."""

from dataclasses import replace
from pathlib import Path

from fedpact.content.bn254 import Point
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.requester.offers import published
from fedpact.requester.preparing import PreparedRequest, prepare
from fedpact.requester.terms import MarketTerms
from fedpact.types.cid import Cid
from fedpact.types.requests import Terms
from tests.offchain.requester.requests_of_digits import account, draft, evaluation


def terms_of(made: PreparedRequest) -> Terms:
    return MarketTerms().complete(made.specification, Point(1, 2), 10**18)


def test_a_specification_counts_only_if_it_matches_the_terms(tmp_path: Path) -> None:
    prepared, store = prepare(draft(), evaluation(), account()), EmbeddedStore(tmp_path)
    terms = terms_of(prepared)
    found, missing = published(store, terms)
    assert found is None
    assert "is unavailable" in missing

    store.put(prepared.specification.encode())
    assert published(store, terms) == (prepared.specification, "")
    longer = replace(terms, max_rounds=terms.max_rounds + 1)
    found, missing = published(store, longer)
    assert found is None
    assert "the terms on chain say max_rounds" in missing


def test_an_invalid_specification_is_reported_without_an_error(tmp_path: Path) -> None:
    store, terms = EmbeddedStore(tmp_path), terms_of(prepare(draft(), evaluation(), account()))
    unnamed = prepare(draft(), evaluation(), account()).specification
    for content in (b"{}", b"no JSON", unnamed.model_copy(update={"initial_model": "x"}).encode()):
        store.put(content)
        found, missing = published(store, replace(terms, specification=Cid.of(content).digest))
        assert found is None
        assert "is unavailable" in missing
