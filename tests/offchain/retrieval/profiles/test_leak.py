import os

import numpy as np
import pytest

from fedpact.features.text.frequencies import public_words
from fedpact.privacy.noise import SeededNoise
from fedpact.retrieval.profiles.composition import data_part, term_rows
from fedpact.retrieval.profiles.leak import attacked, named, words_of_provider
from fedpact.retrieval.profiles.release import exact_sum, noised_sum, release_for

SECRET = "turbine carburettor kingfisher"
TEXTS = ["hockey goalkeeper stadium"] * 40 + [SECRET]


def test_a_plain_signature_gives_a_word_of_one_document_away_and_a_noised_one_does_not() -> None:
    dictionary = public_words()[0]
    words = words_of_provider(TEXTS)
    assert len(words.rare) == 3
    total = exact_sum(term_rows(TEXTS))
    plain = attacked(words, data_part(total), dictionary, 32)
    assert plain.rare >= 1 / 3  # the others are not the commonest words of their buckets
    noised = [
        attacked(
            words,
            data_part(noised_sum(total, release_for(2, 1e-5), SeededNoise(s))),
            dictionary,
            32,
        )
        for s in range(20)
    ]
    assert np.mean([one.rare for one in noised]) < 0.05
    assert np.mean([one.topical for one in noised]) > 0.4  # three of six topical words, repeated


def test_without_a_signature_the_commonest_words_that_weigh_are_named() -> None:
    dictionary = public_words()[0]
    words = words_of_provider(TEXTS)
    assert len(named(None, dictionary, 50)) == 50
    assert attacked(words, None, dictionary, 50).rare == 0


@pytest.mark.skipif("FEDPACT_DATA" not in os.environ, reason="FEDPACT_DATA is not set")
def test_noise_at_epsilon_2_hides_the_rare_words_of_newsgroups() -> None:
    from fedpact.data.newsgroups import newsgroups

    source = newsgroups()
    indices = np.flatnonzero(source.y_train == 10)[:500]
    texts = [source.train[index] for index in indices.tolist()]
    words, dictionary = words_of_provider(texts), public_words()[0]
    total = exact_sum(term_rows(texts))
    plain = attacked(words, data_part(total), dictionary, 32)
    noised = attacked(
        words, data_part(noised_sum(total, release_for(2, 1e-5), SeededNoise(1))), dictionary, 32
    )
    assert plain.topical > 0.15
    assert noised.topical > 0.1  # what many documents say is meant to be found
    assert noised.rare < 0.001
