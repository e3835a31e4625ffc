import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.errors import SpecificationError
from fedpact.features.text.frequencies import bucket_frequencies, public_words
from fedpact.features.text.hashing import TEXTS_AT_ONCE, HashedBag
from fedpact.features.text.tokens import pairs, term_hashes, tokenise

BAG = HashedBag(bits=10)
TEXTS = st.lists(st.text(max_size=60), max_size=8)


def naive_terms(text: str) -> list[str]:
    """The tokeniser's rule, written as a loop over bytes."""
    terms, current = [], bytearray()
    for byte in text.lower().encode("utf-8", "surrogatepass") + b" ":
        if byte >= 128 or chr(byte).isalnum():
            current.append(byte)
        else:
            if 2 <= len(current) <= 40:
                terms.append(current.decode("utf-8", "surrogatepass"))
            current = bytearray()
    return terms


@settings(max_examples=50)
@given(TEXTS)
def test_terms_are_those_that_a_plain_loop_finds(texts: list[str]) -> None:
    tokens = tokenise(texts)
    assert tokens.texts == len(texts)
    found: list[list[str]] = [[] for _ in texts]
    for index, document in enumerate(tokens.documents):
        found[document].append(tokens.word(index))
    assert found == [naive_terms(text) for text in texts]


@settings(max_examples=50)
@given(st.lists(st.text("abcXY", min_size=2, max_size=6), min_size=2, max_size=20))
def test_equal_words_have_equal_hashes_and_no_others(words: list[str]) -> None:
    hashes = term_hashes(words)
    for one, other in itertools.pairwise(words):
        assert (hashes[words.index(one)] == hashes[words.index(other)]) == (
            one.lower() == other.lower()
        )


def test_public_words_are_sorted_and_their_hashes_differ() -> None:
    hashes, shares = public_words()
    assert len(hashes) > 150_000
    assert (np.diff(hashes) > 0).all()
    assert (shares > 0).all()


def test_words_of_no_or_several_terms_have_no_hash() -> None:
    assert term_hashes(["a", "don't know", ""]).tolist() == [0, 0, 0]


def test_pairs_stay_within_their_text() -> None:
    tokens = tokenise(["red car", "fast red car"])
    hashes, documents = pairs(tokens)
    assert documents.tolist() == [0, 1, 1]
    assert hashes[0] == hashes[2] != hashes[1]


@settings(max_examples=50)
@given(TEXTS)
def test_rows_are_of_norm_one_or_empty_and_not_negative(texts: list[str]) -> None:
    rows = BAG.rows(texts)
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1))).reshape(-1)
    assert rows.shape == (len(texts), 1024)
    assert all(math.isclose(one, 1, abs_tol=1e-6) or one == 0 for one in lengths)
    assert (rows.data > 0).all()


@settings(max_examples=50)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=4), st.booleans())
def test_a_row_depends_on_its_own_text_alone(texts: list[str], bigrams: bool) -> None:
    bag = HashedBag(bits=8, bigrams=bigrams)
    together = bag.rows(texts).toarray()
    apart = np.concatenate([bag.rows([text]).toarray() for text in texts])
    np.testing.assert_array_equal(together, apart)


def test_many_texts_are_cut_in_parts_that_meet() -> None:
    texts = [f"word{number} shared" for number in range(2 * TEXTS_AT_ONCE + 3)]
    rows = BAG.rows(texts)
    np.testing.assert_array_equal(
        rows[TEXTS_AT_ONCE].toarray(), BAG.rows([texts[TEXTS_AT_ONCE]]).toarray()
    )


def test_a_row_by_hand() -> None:
    # Two words that no public list has, one of them three times: 1 + ln 3 to 1.
    row = HashedBag(bits=20).rows(["zzqqxj ZZQQXJ, zzqqxj; qqvvzw"])
    assert sorted(row.data) == pytest.approx(
        [1 / math.hypot(1, 1 + math.log(3)), (1 + math.log(3)) / math.hypot(1, 1 + math.log(3))]
    )


def test_the_commonest_words_weigh_nothing() -> None:
    assert HashedBag(bits=20).rows(["the and of that with"]).nnz == 0


def test_bucket_frequencies_add_up_to_those_of_the_words() -> None:
    _, shares = public_words()
    assert bucket_frequencies(12).sum() == pytest.approx(shares.sum())


@pytest.mark.parametrize("text", ["", "\x00\x07\x1b", "\ud800", "a" * 10_000_000, "é" * 50])
def test_odd_texts_give_a_row(text: str) -> None:
    assert BAG.rows([text]).shape == (1, 1024)


@pytest.mark.parametrize("choice", [{"bits": 5}, {"bits": 23}, {"cap": 0.0}, {"common": -1.0}])
def test_choices_out_of_range_are_refused(choice: dict[str, float]) -> None:
    with pytest.raises(SpecificationError):
        HashedBag(**choice)  # type: ignore[arg-type]
