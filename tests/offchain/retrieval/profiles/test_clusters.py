import numpy as np
import pytest

from fedpact.errors import RetrievalError
from fedpact.retrieval.profiles.clusters import context_view

HOCKEY = ["hockey", "goal", "ice", "referee", "penalty", "season", "puck", "coach"]
CRYPTO = ["cipher", "key", "encryption", "chip", "escrow", "secret", "wiretap", "agency"]


def texts_of(words: list[str], count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(words, 5, replace=False)) for _ in range(count)]


def test_two_topics_give_two_clusters_by_silhouette() -> None:
    view = context_view(texts_of(HOCKEY, 12, 1) + texts_of(CRYPTO, 18, 2))
    assert [one.documents for one in view.clusters] == [18, 12]
    assert set(view.clusters[0].terms) == set(CRYPTO)
    assert set(view.clusters[1].terms) == set(HOCKEY)
    assert view.silhouette is not None
    assert view.silhouette > 0.2
    assert any("~" in name for name, _ in view.heaviest)


@pytest.mark.parametrize(
    "texts", [["one document alone"], ["", ""], ["the and of", "of the"], ["x" * 10_000_000]]
)
def test_too_little_for_a_graph_is_one_cluster(texts: list[str]) -> None:
    view = context_view(texts)
    assert view.silhouette is None
    assert sum(one.documents for one in view.clusters) == len(texts)


def test_identical_texts_are_one_cluster() -> None:
    view = context_view(["alpha beta"] * 6 + ["gamma"] * 7)
    assert sum(one.documents for one in view.clusters) == 13


def test_no_texts_are_refused() -> None:
    with pytest.raises(RetrievalError, match="no texts"):
        context_view([])
