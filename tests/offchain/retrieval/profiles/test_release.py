import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fedpact.errors import RetrievalError
from fedpact.privacy.accounting import cost
from fedpact.privacy.noise import SeededNoise
from fedpact.retrieval.profiles.composition import term_rows
from fedpact.retrieval.profiles.release import (
    exact_sum,
    noise_std,
    noised_sum,
    release_for,
    unit_means,
)

WORDS = ["hockey", "goal", "keeper", "turbine", "blade", "stress", "encryption", "key", "the", "of"]
documents = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=8)


@settings(max_examples=60)
@given(documents, st.lists(st.sampled_from(WORDS), min_size=1, max_size=20).map(" ".join))
def test_one_document_moves_the_sum_by_at_most_one_however_it_reads(
    others: list[str], document: str
) -> None:
    texts = ["hockey", *others]
    units = [f"{index}".encode() for index in range(len(texts) + 1)]
    before = exact_sum(unit_means(term_rows(texts), units[:-1]))
    after = exact_sum(unit_means(term_rows([*texts, document]), units))
    assert math.sqrt(math.fsum((after - before) ** 2)) <= 1.0


@settings(max_examples=40)
@given(documents, documents.filter(lambda many: len(many) > 1))
def test_many_rows_of_one_unit_count_as_one(others: list[str], rows: list[str]) -> None:
    texts = ["hockey", *others]
    units = [f"{index}".encode() for index in range(len(texts))]
    before = exact_sum(unit_means(term_rows(texts), units))
    after = exact_sum(unit_means(term_rows(texts + rows), units + [b"engine"] * len(rows)))
    assert math.sqrt(math.fsum((after - before) ** 2)) <= 1.0


def test_a_sum_is_exact_in_any_order() -> None:
    rows = term_rows([" ".join(WORDS[index:]) for index in range(6)] * 50)
    turned = rows[np.random.default_rng(0).permutation(rows.shape[0])]
    assert (exact_sum(rows) == exact_sum(turned)).all()


def test_the_release_costs_the_requested_epsilon() -> None:
    spent = cost(release_for(2.0, 1e-5), 1e-5)
    assert 1.99 < spent.epsilon <= 2.0


def test_every_value_has_noise_of_the_stated_size() -> None:
    release = release_for(1.0, 1e-5)
    noised = noised_sum(np.zeros(4096), release, SeededNoise(1))
    assert (noised != 0).all()
    assert noised.std() == pytest.approx(noise_std(4096, release), rel=0.05)
    assert noise_std(4096, release) == pytest.approx(release.noise_multiplier, rel=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (sparse.csr_matrix((2, 4)), "only common words"),
        (sparse.csr_matrix([[1.1, 0.0]]), "norm at most 1"),
        (sparse.csr_matrix([[-0.1, 0.0]]), "no negative"),
        (sparse.csr_matrix([[float("nan"), 0.0]]), "norm at most 1"),
    ],
)
def test_rows_that_break_the_bound_are_refused(rows: sparse.csr_matrix, message: str) -> None:
    with pytest.raises(RetrievalError, match=message):
        exact_sum(rows)


def test_rows_without_units_are_refused() -> None:
    with pytest.raises(RetrievalError, match="2 rows of 1 records"):
        unit_means(sparse.csr_matrix((2, 4)), [b"one"])
    with pytest.raises(RetrievalError, match="0 records"):
        unit_means(sparse.csr_matrix((0, 4)), [])
