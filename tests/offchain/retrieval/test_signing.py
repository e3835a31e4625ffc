from dataclasses import replace

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from fedpact.chain.keystore import AccountKeys
from fedpact.errors import RetrievalError, SearchRefused
from fedpact.retrieval.signature import Signature
from fedpact.retrieval.signing import (
    MAX_CATEGORY,
    NONCE_BYTES,
    WINDOW_SECONDS,
    SearchGuard,
    SignedSearch,
    sign_search,
)
from fedpact.types.deployment import Deployment

KEYS = AccountKeys(Account.from_key(b"\7" * 32))
DEPLOYMENT = Deployment(
    31337,
    "0x" + "11" * 32,
    "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
    "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0",
    1,
    {},
)
QUERY = Signature((3,), (65_535,))
NOW = 1_800_000_000


def search(nonce: int = 0, timestamp: int = NOW, category: str = "texts/news") -> SignedSearch:
    return sign_search(
        KEYS,
        DEPLOYMENT,
        QUERY,
        category,
        timestamp=timestamp,
        nonce=nonce.to_bytes(NONCE_BYTES, "big"),
    )


def guard(now: float = NOW, active: bool = True, most: int = 100) -> SearchGuard:
    return SearchGuard(DEPLOYMENT, lambda _: active, lambda: now, most=most)


def refused(envelope: bytes, *, of: SearchGuard | None = None, query: Signature = QUERY) -> str:
    with pytest.raises(SearchRefused) as found:
        (of or guard()).admit(envelope, query, direct=True)
    assert 400 <= found.value.status < 600
    return found.value.reason


def test_a_search_survives_its_byte_form_and_is_admitted() -> None:
    one = search()
    assert SignedSearch.decode(one.encode()) == one
    assert guard().admit(one.encode(), QUERY, direct=True) == one


def test_clocks_may_differ_by_at_most_the_window() -> None:
    for late in (-WINDOW_SECONDS, WINDOW_SECONDS):
        guard(NOW + late).admit(search().encode(), QUERY, direct=True)
    assert refused(search().encode(), of=guard(NOW + WINDOW_SECONDS + 1)) == "expired"
    assert refused(search().encode(), of=guard(NOW - WINDOW_SECONDS - 1)) == "from-the-future"


def test_an_unsigned_or_changed_search_is_refused() -> None:
    assert refused(b"") == "unsigned"
    assert refused(b"\1") == "malformed"
    assert refused(b"\2" + search().encode()[1:]) == "malformed"
    assert refused(search().encode() + b"\xff") == "malformed"
    assert refused(search().encode(), query=Signature((4,), (65_535,))) == "other-query"
    changed = [
        replace(search(), category="texts/other"),
        replace(search(), timestamp=NOW + 1),
        replace(search(), nonce=b"n" * NONCE_BYTES),
        replace(search(), requester="0x" + "00" * 19 + "01"),
        replace(search(), signature=bytes(65)),
        replace(search(), signature=b"\xff" * 65),
    ]
    for one in changed:
        assert refused(one.encode()) == "bad-signature"


@pytest.mark.parametrize(
    "other",
    [
        replace(DEPLOYMENT, genesis_hash="0x" + "22" * 32),
        replace(DEPLOYMENT, chain_id=1),
        replace(DEPLOYMENT, registry=DEPLOYMENT.market),
    ],
)
def test_a_search_of_another_deployment_is_refused_even_under_this_ones_name(
    other: Deployment,
) -> None:
    elsewhere = sign_search(KEYS, other, QUERY, "", timestamp=NOW, nonce=bytes(NONCE_BYTES))
    assert refused(elsewhere.encode()) == "foreign-deployment"
    renamed = replace(elsewhere, fingerprint=DEPLOYMENT.fingerprint)
    assert refused(renamed.encode()) == "bad-signature"


def test_only_active_participants_search() -> None:
    assert refused(search().encode(), of=guard(active=False)) == "no-participant"


def test_a_search_is_taken_once_from_its_requester_and_a_few_times_from_daemons() -> None:
    here = guard()
    here.admit(search().encode(), QUERY, direct=True)
    assert refused(search().encode(), of=here) == "replayed"
    for _ in range(4):
        here.admit(search().encode(), QUERY, direct=False)
    with pytest.raises(SearchRefused, match="was sent before"):
        here.admit(search().encode(), QUERY, direct=False)
    here.admit(search(nonce=1).encode(), QUERY, direct=True)


def test_remembered_searches_are_bounded_and_expire_with_the_window() -> None:
    now = [float(NOW)]
    here = SearchGuard(DEPLOYMENT, lambda _: True, lambda: now[0], most=3)
    for nonce in range(3):
        here.admit(search(nonce).encode(), QUERY, direct=True)
    assert refused(search(3).encode(), of=here) == "busy"
    now[0] += WINDOW_SECONDS + 1
    here.admit(search(4, timestamp=int(now[0])).encode(), QUERY, direct=True)
    assert refused(search(0).encode(), of=here) == "expired"


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_reason(envelope: bytes) -> None:
    assert refused(envelope) in {"unsigned", "malformed", "foreign-deployment"}


@given(st.binary(min_size=65, max_size=65))
def test_no_other_signature_passes(signature: bytes) -> None:
    assert refused(replace(search(), signature=signature).encode()) == "bad-signature"


def test_too_long_a_category_is_not_signed() -> None:
    with pytest.raises(RetrievalError, match="category of"):
        search(category="x" * (MAX_CATEGORY + 1))
