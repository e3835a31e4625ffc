import numpy as np
import pytest

from fedpact.errors import RetrievalError
from fedpact.retrieval.profiles.composition import (
    CATEGORY_SHARE,
    bucket_of,
    composed,
    data_part,
    label_part,
    label_rows,
    term_rows,
    words_of,
)
from fedpact.retrieval.profiles.release import exact_sum
from fedpact.retrieval.signature import ENTRIES, MASS, Signature, weighted_jaccard
from fedpact.retrieval.vectors import query_of_terms


def weight(signature: Signature, word: str) -> int:
    found = dict(zip(signature.buckets, signature.weights, strict=True))
    return found.get(bucket_of(word), 0)


def test_names_fall_into_words_once_each() -> None:
    assert words_of(["Images/digits", "images", "sensor_11", "7"], 9) == (
        "images",
        "digits",
        "sensor",
        "11",
    )
    assert words_of(["a b cc dd ee"], 2) == ("cc", "dd")


def test_categories_weigh_their_share_and_data_the_rest() -> None:
    data = data_part(exact_sum(term_rows(["hockey goalkeeper", "hockey stadium"])))
    found = composed(data, ["sports/hockey-news", "sports"])
    assert weight(found, "sports") == pytest.approx(MASS * CATEGORY_SHARE / 3, abs=2)
    assert weight(found, "stadium") > 0
    assert weight(found, "hockey") > weight(found, "sports")


def test_data_make_room_for_declared_words() -> None:
    texts = [" ".join(f"uncommonword{index}" for index in range(60))]
    data = data_part(exact_sum(term_rows(texts)))
    assert len(data.buckets) == ENTRIES
    found = composed(data, ["sports/hockey"])
    assert len(found.buckets) <= ENTRIES
    assert weight(found, "sports") > 0
    assert weight(found, "hockey") > 0


def test_labels_weigh_as_their_counts() -> None:
    rows = label_rows(["cat", "dog", "cat", "cat"], ["cat", "dog", "bird"])
    found = label_part(np.asarray(rows.sum(axis=0)).reshape(-1), ["cat", "dog", "bird"])
    assert found is not None
    assert weight(found, "cat") == pytest.approx(0.75 * MASS, abs=2)
    assert weight(found, "dog") == pytest.approx(0.25 * MASS, abs=2)
    assert weight(found, "bird") == 0


def test_labels_that_are_numbers_have_words_too() -> None:
    found = label_part(np.array([1.0, -3.0]), ["7", "8"])
    assert found is not None
    assert weight(found, "label7") == MASS
    assert label_part(np.array([-1.0, 0.0]), ["7", "8"]) is None


def test_an_undeclared_label_is_refused() -> None:
    with pytest.raises(RetrievalError, match="'bird'"):
        label_rows(["cat", "bird"], ["cat", "dog"])


def test_without_data_or_words_there_is_no_signature() -> None:
    with pytest.raises(RetrievalError):
        composed(None, ["!"])


def test_a_query_is_most_like_the_profile_of_its_topic() -> None:
    hockey = composed(data_part(exact_sum(term_rows(["hockey goalkeeper stadium"] * 3))), ["sport"])
    crypto = composed(data_part(exact_sum(term_rows(["encryption cipher"] * 3))), ["security"])
    query = query_of_terms(["hockey", "stadium"])
    assert weighted_jaccard(query, hockey) > 0.3
    assert weighted_jaccard(query, crypto) == 0
