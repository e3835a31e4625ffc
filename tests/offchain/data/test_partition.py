"""Spreading records over providers, and cutting evaluation slices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.data import partition
from fedpact.data.slices import cut_stratified
from fedpact.errors import DataError

LABELS = st.lists(st.integers(0, 4), min_size=12, max_size=80).map(np.array)
SEEDS = st.integers(0, 2**32)


def assert_covers_each_once(parts, y):
    assert np.sort(np.concatenate(parts)).tolist() == list(range(len(y)))


@given(LABELS, st.integers(1, 12), SEEDS)
def test_iid_covers_each_record_once_in_equal_parts(y, providers, seed):
    parts = partition.iid(y, providers, seed)
    assert_covers_each_once(parts, y)
    sizes = [len(part) for part in parts]
    assert len(parts) == providers
    assert max(sizes) - min(sizes) <= 1


@given(LABELS, st.integers(1, 4), st.floats(0.2, 10), SEEDS)
def test_dirichlet_covers_each_record_once_and_leaves_nobody_empty(y, providers, alpha, seed):
    parts = partition.dirichlet(y, providers, alpha, seed)
    assert_covers_each_once(parts, y)
    assert min(len(part) for part in parts) > 0


@given(SEEDS)
def test_digits_over_four_providers_have_each_class_at_two(seed):
    y = np.repeat(np.arange(10), 20)
    parts = partition.classes(y, 4, 5, seed)
    assert_covers_each_once(parts, y)
    held = [set(y[part].tolist()) for part in parts]
    assert [len(one) for one in held] == [5] * 4
    assert all(sum(label in one for one in held) == 2 for label in range(10))
    assert [len(part) for part in parts] == [50] * 4


@given(st.integers(1, 10), st.integers(1, 10), SEEDS)
def test_classes_are_split_evenly_or_refused(providers, each, seed):
    y = np.repeat(np.arange(6), 30)
    if each > 6 or providers * each % 6:
        with pytest.raises(DataError):
            partition.classes(y, providers, each, seed)
        return
    parts = partition.classes(y, providers, each, seed)
    assert_covers_each_once(parts, y)
    assert all(len(set(y[part].tolist())) == each for part in parts)


@given(LABELS, st.integers(1, 6), st.integers(1, 2), SEEDS)
def test_shards_cover_each_record_once_and_hold_few_labels(y, providers, each, seed):
    parts = partition.shards(y, providers, each, seed)
    assert_covers_each_once(parts, y)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= each
    # A shard crosses as many borders between labels as are in it; all shards share four at most.
    held = sum(len(set(y[part].tolist())) for part in parts)
    assert held <= providers * each + 4


def test_shards_of_sorted_labels_by_hand():
    y = np.array([1, 0, 1, 0, 2, 2, 3, 3])
    parts = partition.shards(y, 2, 2, 0)
    assert sorted(len(set(y[part].tolist())) for part in parts) == [2, 2]


def test_a_regressions_values_are_sorted_into_shards():
    y = np.array([0.3, 0.1, 0.4, 0.2], dtype=np.float32)
    parts = partition.shards(y, 2, 1, 0)
    assert sorted(part.tolist() for part in parts) == [[0, 2], [1, 3]]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60).map(np.array), SEEDS, st.data())
def test_groups_stay_whole_and_are_split_evenly(groups, seed, data):
    present = len(set(groups.tolist()))
    providers = data.draw(st.integers(1, present))
    parts = partition.by_group(groups, providers, seed)
    assert_covers_each_once(parts, groups)
    held = [set(groups[part].tolist()) for part in parts]
    assert sum(len(one) for one in held) == present
    assert max(map(len, held)) - min(map(len, held)) <= 1


@given(
    st.sampled_from(["iid", "dir0.5", "dir1", "class2", "class4", "sorted", "group"]),
    st.sampled_from([1, 2, 4]),
    SEEDS,
)
def test_every_named_partition_leaves_nobody_empty_and_assigns_each_record_once(
    name, providers, seed
):
    y = np.repeat(np.arange(4), 20)
    groups = np.tile(np.arange(8), 10)
    if name == "class2" and providers == 1:
        return
    parts = partition.named(name, y, providers, seed, groups)
    assert_covers_each_once(parts, y)
    assert len(parts) == providers
    assert min(map(len, parts)) > 0


@pytest.mark.parametrize(
    "name", ["", "IID", "dir", "dir-1", "dir0", "dirichlet", "class", "class0", "class9", "iid "]
)
def test_an_unknown_partition_is_refused(name):
    with pytest.raises(DataError):
        partition.named(name, np.repeat(np.arange(4), 5), 2, 0)


def test_a_partition_by_group_needs_groups():
    with pytest.raises(DataError, match="the data set has no groups"):
        partition.named("group", np.zeros(4, int), 2, 0)
    with pytest.raises(DataError, match="2 groups cannot be split across 3"):
        partition.by_group(np.array([0, 0, 1, 1]), 3, 0)


@pytest.mark.parametrize("name", ["dir0.5", "class2"])
def test_a_regression_has_no_labels_to_split_by(name):
    with pytest.raises(DataError, match="a regression has no labels"):
        partition.named(name, np.linspace(0, 1, 9, dtype=np.float32), 2, 0)


def test_more_shards_than_records_are_refused():
    with pytest.raises(DataError, match="4 shards"):
        partition.shards(np.arange(3), 2, 2, 0)


def test_parts_without_examples_or_with_one_label_are_named():
    y = np.array([0, 0, 1, 1])
    partition.check_labels([np.array([0, 2]), np.array([1, 3])], y)
    with pytest.raises(DataError, match="provider 2 has no examples"):
        partition.check_labels([np.arange(4), np.array([], dtype=int)], y)
    with pytest.raises(DataError, match="provider 1 has examples of only one label"):
        partition.check_labels([np.array([0, 1]), np.array([2, 3])], y)


def test_the_same_seed_gives_the_same_partition():
    y = np.repeat(np.arange(4), 10)
    for deal in (
        lambda seed: partition.iid(y, 3, seed),
        lambda seed: partition.dirichlet(y, 3, 0.5, seed),
        lambda seed: partition.classes(y, 4, 2, seed),
        lambda seed: partition.shards(y, 4, 2, seed),
        lambda seed: partition.by_group(np.arange(40), 4, seed),
    ):
        first, again, other = deal(1), deal(1), deal(2)
        assert [part.tolist() for part in first] == [part.tolist() for part in again]
        assert [part.tolist() for part in first] != [part.tolist() for part in other]


def test_more_providers_than_records_are_refused():
    with pytest.raises(DataError):
        partition.iid(np.zeros(2, int), 3, 0)
    with pytest.raises(DataError):
        partition.dirichlet(np.zeros(9, int), 3, 0.0, 0)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(1, 5), SEEDS)
def test_slices_hold_every_example_once_and_spread_every_label(counts, rounds, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    if len(y) < rounds:
        return
    slices = cut_stratified(y, rounds, np.random.default_rng(seed))
    assert sorted(np.concatenate(slices).tolist()) == list(range(len(y)))
    by_label = np.array([np.bincount(y[part], minlength=len(counts)) for part in slices])
    assert (by_label.max(axis=0) - by_label.min(axis=0)).max() <= 1
    sizes = by_label.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1


def test_a_thousand_rows_are_not_cut_to_the_rarest_label():
    """34 failures in 10 rounds: slices of 6 on the code before, of 100 now."""
    y = np.repeat([0, 1], [966, 34])
    slices = cut_stratified(y, 10, np.random.default_rng(0))
    assert [len(part) for part in slices] == [100] * 10
    assert all(3 <= (y[part] == 1).sum() <= 4 for part in slices)


def test_fewer_examples_than_rounds_are_refused():
    with pytest.raises(DataError, match="1 examples for 2 rounds"):
        cut_stratified(np.array([0]), 2, np.random.default_rng(0))
    with pytest.raises(DataError):
        cut_stratified(np.array([], dtype=np.int64), 1, np.random.default_rng(0))
