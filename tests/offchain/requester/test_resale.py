"""What a buyer takes for the specification of somebody else's request."""

from dataclasses import replace
from pathlib import Path

from fedpact.content.embedded import EmbeddedStore
from fedpact.requester.request import prepare
from fedpact.requester.resale import published
from fedpact.types.cid import Cid
from tests.offchain.requester.requests_of_digits import account, draft, evaluation


def test_a_specification_counts_only_if_it_matches_the_terms(tmp_path: Path) -> None:
    prepared, store = prepare(draft(), evaluation(), account()), EmbeddedStore(tmp_path)
    found, missing = published(store, prepared.terms)
    assert found is None
    assert "is unavailable" in missing

    store.put(prepared.specification.encode())
    assert published(store, prepared.terms) == (prepared.specification, "")
    longer = replace(prepared.terms, max_rounds=prepared.terms.max_rounds + 1)
    found, missing = published(store, longer)
    assert found is None
    assert "terms on chain differ" in missing


def test_an_invalid_specification_is_reported_without_an_error(tmp_path: Path) -> None:
    store, terms = EmbeddedStore(tmp_path), prepare(draft(), evaluation(), account()).terms
    unnamed = prepare(draft(), evaluation(), account()).specification
    for content in (b"{}", b"no JSON", unnamed.model_copy(update={"initial_model": "x"}).encode()):
        store.put(content)
        found, missing = published(store, replace(terms, specification=Cid.of(content).digest))
        assert found is None
        assert "is unavailable" in missing
