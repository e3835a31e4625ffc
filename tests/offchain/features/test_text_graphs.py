import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from fedpact.errors import DataError, SpecificationError
from fedpact.features.text.clustering import k_medoids
from fedpact.features.text.graphs import (
    GraphVocabulary,
    matrix,
    merged,
    public_vocabulary,
    serialised,
    vocabulary,
)
from fedpact.features.text.similarity import support_weighted_jaccard, weighted_jaccard
from fedpact.features.text.tokens import term_hashes

WORDS = ("alpha", "beta", "gamma", "delta")
SENTENCES = st.lists(st.sampled_from((*WORDS, "other")), max_size=12).map(" ".join)


def terms(words: tuple[str, ...] = WORDS, idf: float = 1.0) -> GraphVocabulary:
    hashes = term_hashes(words)
    order = np.argsort(hashes)
    return GraphVocabulary(
        hashes[order], np.full(len(words), idf), tuple(words[index] for index in order)
    )


@st.composite
def rows(draw: st.DrawFn) -> sparse.csr_matrix:
    values = draw(
        st.lists(
            st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0]), min_size=5, max_size=5),
            min_size=1,
            max_size=6,
        )
    )
    return sparse.csr_matrix(np.array(values))


def test_a_graph_by_hand() -> None:
    # alpha twice, beta once, idf 4: nodes 8 and 4, the edge sqrt(2 * 1) * 4; over their norm.
    known = terms(idf=4.0)
    values = serialised(["alpha beta, ALPHA x"], known).toarray()[0]
    found = dict(zip(known.names(), values, strict=True))
    edge = math.sqrt(2) * 4
    norm = math.sqrt(64 + 16 + edge**2)
    link = next(one for one in ("alpha~beta", "beta~alpha") if one in found)
    assert found["alpha"] == pytest.approx(8 / norm)
    assert found["beta"] == pytest.approx(4 / norm)
    assert found[link] == pytest.approx(edge / norm)
    assert sum(value > 0 for value in found.values()) == 3


@settings(max_examples=50)
@given(st.lists(SENTENCES, min_size=1, max_size=5))
def test_graphs_agree_with_the_matrix_written_as_a_loop(texts: list[str]) -> None:
    known = terms(idf=2.0)
    graphs = serialised(texts, known)
    assert graphs.shape == (len(texts), known.width) == (len(texts), 4 + 6)
    for index, text in enumerate(texts):
        counts = [text.split().count(word) for word in known.words]
        expected = np.array([[math.sqrt(a * b) * 2 for b in counts] for a in counts])
        upper = expected[np.triu_indices(4)]
        norm = math.sqrt((upper**2).sum()) or 1.0
        np.testing.assert_allclose(matrix(graphs[index], known), expected / norm, rtol=1e-6)


@settings(max_examples=50)
@given(st.lists(SENTENCES, min_size=1, max_size=5))
def test_a_merged_graph_holds_every_node_and_edge(texts: list[str]) -> None:
    graphs = serialised(texts, terms())
    together = merged(graphs)
    assert ((together.toarray()[0] > 0) == (graphs.toarray() > 0).any(axis=0)).all()
    assert together.nnz == 0 or sparse.linalg.norm(together) == pytest.approx(1)


def test_the_vocabulary_holds_terms_of_some_but_not_most_texts() -> None:
    texts = ["common rare once", "common rare also", "common also", "common"]
    found = vocabulary(texts, 2)
    assert set(found.words) == {"rare", "also"}
    np.testing.assert_allclose(found.idf, math.log(2))


def test_the_vocabulary_is_of_terms_that_stand_out_in_their_texts() -> None:
    # idf is ln 2 for all three. By hand: "mild" is all of two texts, 1 + 1; "loud" 8100/8109 and
    # 1/2, "with" 9/8109 and 1/2. Sums of plain TF-IDF would be 2, 91 and 4.
    texts = ["loud " * 90 + "with with with", "loud with", "mild", "mild"]
    assert set(vocabulary(texts, 2).words) == {"mild", "loud"}


@pytest.mark.parametrize("texts", [[], ["one text"], ["same", "same"]])
def test_texts_with_too_few_terms_are_refused(texts: list[str]) -> None:
    with pytest.raises(DataError, match="graphs of 2 terms"):
        vocabulary(texts, 2)


def test_public_terms_are_weighted_by_public_frequency() -> None:
    known = public_vocabulary(["The", "brakes", "zzqqxj"])
    found = dict(zip(known.words, known.idf, strict=True))
    assert found["the"] < found["brakes"] < found["zzqqxj"]


@pytest.mark.parametrize("words", [["one", "one"], ["two words", "three"], ["alone"]])
def test_odd_public_terms_are_refused(words: list[str]) -> None:
    with pytest.raises(SpecificationError):
        public_vocabulary(words)


A = sparse.csr_matrix(np.array([[2.0, 1.0, 0.0]]))
B = sparse.csr_matrix(np.array([[1.0, 0.0, 3.0]]))


def test_the_two_jaccards_by_hand() -> None:
    # min: 1, max: 2 + 1 + 3; in one only: 1 + 3, of all weights 7.
    assert weighted_jaccard(A, B)[0, 0] == pytest.approx(1 - 1 / 6)
    assert support_weighted_jaccard(A, B)[0, 0] == pytest.approx(4 / 7)


@settings(max_examples=50)
@given(rows())
def test_jaccards_are_distances(some: sparse.csr_matrix) -> None:
    for distance in (weighted_jaccard, support_weighted_jaccard):
        found = distance(some, some)
        np.testing.assert_allclose(np.diag(found), 0, atol=1e-12)
        np.testing.assert_allclose(found, found.T, atol=1e-12)
        assert ((found >= 0) & (found <= 1)).all()


@settings(max_examples=50)
@given(rows())
def test_the_weighted_jaccard_keeps_the_triangle_inequality(some: sparse.csr_matrix) -> None:
    found = weighted_jaccard(some, some)
    assert (found[:, None, :] <= found[:, :, None] + found[None, :, :] + 1e-9).all()


def test_an_empty_row_is_far_from_all_but_the_empty() -> None:
    empty = sparse.csr_matrix((1, 3))
    for distance in (weighted_jaccard, support_weighted_jaccard):
        assert distance(empty, A)[0, 0] == 1
        assert distance(empty, empty)[0, 0] == 0


@settings(max_examples=50)
@given(rows(), st.integers(0, 100), st.data())
def test_the_cost_of_clusters_never_rises(
    some: sparse.csr_matrix, seed: int, data: st.DataObject
) -> None:
    clusters = data.draw(st.integers(1, some.shape[0]))
    found = k_medoids(some, clusters, weighted_jaccard, seed)
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(found.costs))
    distances = weighted_jaccard(some, some)
    nearest = distances[:, found.medoids].min(axis=1)
    assert found.costs[-1] == pytest.approx(nearest.sum())


def test_texts_of_two_kinds_fall_into_two_clusters() -> None:
    texts = ["alpha beta alpha", "alpha beta", "gamma delta", "gamma delta delta gamma"]
    found = k_medoids(serialised(texts, terms()), 2, support_weighted_jaccard, seed=1)
    first: NDArray[np.int64] = found.labels
    assert first[0] == first[1] != first[2] == first[3]


@pytest.mark.parametrize("clusters", [0, 2])
def test_more_clusters_than_rows_are_refused(clusters: int) -> None:
    with pytest.raises(DataError):
        k_medoids(A, clusters, weighted_jaccard, 0)
