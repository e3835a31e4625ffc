import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from fedpact.errors import RetrievalError
from fedpact.retrieval.signature import (
    ENTRIES,
    LONGEST,
    MASS,
    TERMS,
    WIDTH,
    Signature,
    likeness,
    signature,
    signatures,
    stacked,
    support_weighted_jaccard,
    weighted_jaccard,
)
from fedpact.retrieval.vectors import query_of_terms, text_vectors
from tests.offchain.retrieval import retrieval_strategies as strategies

A = Signature((1, 5), (20_000, 45_535))
B = Signature((5, 9), (30_000, 35_535))


def test_both_jaccards_of_two_signatures_are_as_worked_by_hand() -> None:
    # 5 is shared: the lesser is 30,000; the greater ones 20,000 + 45,535 + 35,535 = 101,070.
    assert weighted_jaccard(A, B) == pytest.approx(30_000 / 101_070, abs=1e-12)
    # Weights of the shared bucket, 45,535 + 30,000, over all weights, 2 * 65,535.
    assert support_weighted_jaccard(A, B) == pytest.approx(75_535 / 131_070, abs=1e-12)


def test_the_byte_form_is_the_one_documented() -> None:
    assert A.encode() == struct.pack(">BBHHHH", 1, 2, 1, 20_000, 5, 45_535)
    assert len(Signature(tuple(range(32)), (1,) * 31 + (MASS - 31,)).encode()) == LONGEST


@given(strategies.signatures())
def test_a_signature_survives_its_byte_form(one: Signature) -> None:
    assert Signature.decode(one.encode()) == one


@given(strategies.signatures(), strategies.signatures())
def test_likeness_is_symmetric_within_bounds_and_the_same_for_one_as_for_many(
    a: Signature, b: Signature
) -> None:
    value = weighted_jaccard(a, b)
    assert 0 <= value <= 1
    assert value == pytest.approx(weighted_jaccard(b, a))
    assert weighted_jaccard(a, a) == 1
    many = likeness(a, *stacked([b, a]))
    assert many == pytest.approx([value, 1.0])


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(2**-20, 2**20, width=32)), min_size=1, max_size=60),
    st.integers(0, 2**32),
)
def test_any_vector_gives_a_signature_of_full_mass_or_is_refused(
    values: list[float], seed: int
) -> None:
    chosen = np.random.default_rng(seed).choice(WIDTH, len(values), replace=False)
    vector = np.zeros(WIDTH)
    vector[chosen] = values
    if not (vector > 0).any():
        with pytest.raises(RetrievalError, match="no data have any weight"):
            signature(vector)
        return
    one = signature(vector)
    assert sum(one.weights) == MASS
    least = min(vector[list(one.buckets)])
    assert all(vector[bucket] <= least for bucket in chosen if bucket not in one.buckets)
    assert len(one.buckets) == min(ENTRIES, int((vector > 0).sum()))


def test_many_vectors_at_once_give_what_each_gives_alone() -> None:
    generator = np.random.default_rng(3)
    rows = sparse.random(40, WIDTH, 0.002, "csr", random_state=generator)
    buckets, weights = signatures(rows)
    alone = stacked([signature(rows[bucket]) for bucket in range(40)])
    assert (buckets == alone[0]).all()
    assert (weights == alone[1]).all()


@pytest.mark.parametrize(
    ("buckets", "weights", "said"),
    [
        ((), (), "0 buckets"),
        (tuple(range(33)), (1,) * 32 + (MASS - 32,), "33 buckets"),
        ((1, 2), (MASS,), "1 weights"),
        ((5, 1), (1, MASS - 1), "ascend"),
        ((5, 5), (1, MASS - 1), "ascend"),
        ((WIDTH,), (MASS,), "ascend"),
        ((1, 2), (0, MASS), "positive"),
        ((1, 2), (MASS, MASS), "add up to"),
    ],
)
def test_an_invalid_signature_is_refused(
    buckets: tuple[int, ...], weights: tuple[int, ...], said: str
) -> None:
    with pytest.raises(RetrievalError, match=said):
        Signature(buckets, weights)


@given(st.binary(max_size=160))
def test_random_bytes_are_a_signature_or_refused(content: bytes) -> None:
    with suppress(RetrievalError):
        assert Signature.decode(content).encode() == content


def test_rows_of_texts_have_terms_edges_and_norm_one() -> None:
    rows = text_vectors(["The carburettor of an engine", "", "the the the", "engine"])
    assert rows.shape == (4, WIDTH)
    assert np.linalg.norm(rows.toarray(), axis=1) == pytest.approx([1, 0, 0, 1])
    assert (rows[0].indices >= TERMS).sum() == 1  # carburettor~engine
    assert (rows[3].indices >= TERMS).sum() == 0


def test_a_query_of_stop_words_is_refused() -> None:
    with pytest.raises(RetrievalError, match="none of the words the, and"):
        query_of_terms(["the", "and"])
    assert weighted_jaccard(query_of_terms(["Engine"]), query_of_terms(["engine", "the"])) == 1
