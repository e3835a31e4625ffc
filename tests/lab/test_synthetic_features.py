"""Features learnt from made-up images: the generator, and the network made of its patches."""

import json
from pathlib import Path

import numpy as np
import pytest

from fedpact.features.networks.allowed import ImageForm, checked_form
from fedpact.features.networks.session import FrozenSession
from lab.synthetic_features import command, patches
from lab.synthetic_features.leaves import BATCH, dead_leaves
from lab.synthetic_features.patches import Size, learnt_filters, learnt_network

SMALL = Size(filters=12, width=7)


@pytest.fixture(scope="module")
def leaves() -> np.ndarray:
    return dead_leaves(BATCH, seed=1)


def test_images_are_the_same_each_time_and_differ_by_seed(leaves: np.ndarray) -> None:
    assert leaves.shape == (BATCH, 3, 32, 32)
    assert np.array_equal(dead_leaves(3, seed=1), leaves[:3])
    assert not np.array_equal(dead_leaves(3, seed=2), leaves[:3])
    assert leaves.astype(float).std(axis=(1, 2, 3)).min() > 1  # none is even


def test_filters_look_at_contrast_alone(
    leaves: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "PATCHES", 3_000)
    found = learnt_filters(leaves, SMALL, seed=0)
    assert found.weights.shape == (12, 3, 6, 6)
    np.testing.assert_allclose(found.weights.sum(axis=(1, 2, 3)), 0, atol=1e-3)
    assert np.linalg.norm(found.weights.reshape(12, -1), axis=1).min() > 0.1


def test_the_network_is_one_that_a_request_may_name(
    leaves: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers to a patch, by hand; and rows along directions that weigh about the same."""
    monkeypatch.setattr(patches, "PATCHES", 3_000)
    content = learnt_network(leaves, SMALL, seed=0)
    assert checked_form(content) == ImageForm(32, 7)
    assert learnt_network(leaves, SMALL, seed=0) == content
    session = FrozenSession(content)
    values = leaves.astype(np.float32) / 255
    rows = np.stack([session.run(one[None]) for one in values])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(rows[:, 0]), 1, atol=0.05)
    assert np.abs(np.corrcoef(rows.T) - np.eye(7)).max() < 0.05

    filters = learnt_filters(leaves, SMALL, seed=0)
    answers = FrozenSession(patches._graph(filters, SMALL, None)).run(values[:1])
    patch = values[0, :, :6, :6]
    size = Size(filters=12, width=7, patch=6, stride=26)  # one patch in each corner
    corners = FrozenSession(patches._graph(filters, size, None)).run(values[:1])
    contrast = np.sqrt(patch.var() + patches.CONTRAST)
    expected = (filters.weights * patch).sum(axis=(1, 2, 3)) / contrast + filters.bias
    by_hand = np.maximum(expected - patches.THRESHOLD, 0)
    np.testing.assert_allclose(corners.reshape(12, 4)[:, 0], by_hand, atol=1e-4)
    assert answers.shape == (48,)


def test_a_file_of_results_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "synthetic-features.json"
    rows = [{"epsilon": 2.0, "seeds": 3}, {"epsilon": 3.0, "seeds": 2}]
    path.write_text(json.dumps(rows))
    assert command.missing(path) == ["epsilon 3", "epsilon 5", "epsilon 10"]
