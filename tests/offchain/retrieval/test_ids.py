from math import e, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedpact.errors import RetrievalError
from fedpact.retrieval.codebook import projected, standard
from fedpact.retrieval.communities import (
    own_prefix,
    partition,
    split_above,
    table_communities,
    table_contacts,
)
from fedpact.retrieval.ids import (
    address_hashes,
    logical_distance,
    node_id,
    node_ids,
    xor_distance,
)
from fedpact.retrieval.messages import Prefix, Record
from fedpact.retrieval.signature import Signature, stacked, support_weighted_jaccard
from tests.offchain.retrieval.retrieval_strategies import signatures

A = Signature((1, 5), (20_000, 45_535))
B = Signature((5, 9), (30_000, 35_535))
ids = st.integers(0, (1 << 64) - 1)


def test_equation_1_is_as_worked_by_hand() -> None:
    # What only one has: 20,000 and 35,535; all weights: 131,070. At 20 ms: times ln 20 = 2.99573.
    assert logical_distance(A, B, 20.0) == pytest.approx(55_535 / 131_070 * 2.995732273553991)
    assert logical_distance(A, A, 20.0) == 0


def test_equation_1_is_the_jaccard_distance_alone_up_to_a_physical_distance_of_e() -> None:
    alone = 1 - support_weighted_jaccard(A, B)
    for near in (0.0, 0.5, 1.0, e):
        assert logical_distance(A, B, near) == pytest.approx(alone)


@given(signatures(), signatures(), st.floats(0, 1e6), st.floats(0, 1e6))
def test_equation_1_is_symmetric_not_negative_and_grows_with_physical_distance(
    a: Signature, b: Signature, near: float, far: float
) -> None:
    near, far = sorted((near, far))
    assert logical_distance(a, b, near) == pytest.approx(logical_distance(b, a, near))
    assert 0 <= logical_distance(a, b, near) <= logical_distance(a, b, far)
    if far >= e:
        assert logical_distance(a, b, far) == pytest.approx(
            (1 - support_weighted_jaccard(a, b)) * log(far)
        )


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_an_invalid_physical_distance_is_refused(wrong: float) -> None:
    with pytest.raises(RetrievalError, match="physical distance"):
        logical_distance(A, B, wrong)


@given(ids, ids, ids)
def test_equation_2_is_a_metric_that_common_prefixes_bound(a: int, b: int, c: int) -> None:
    assert xor_distance(a, a) == 0
    assert xor_distance(a, b) == xor_distance(b, a)
    assert xor_distance(a, c) <= xor_distance(a, b) + xor_distance(b, c)
    shared = 64 - xor_distance(a, b).bit_length()
    assert Prefix.of(a, shared).holds(b)
    assert xor_distance(0b1010, 0b0110) == 0b1100


@given(st.lists(signatures(), min_size=1, max_size=9))
def test_many_paths_at_once_are_the_paths_of_each(many: list[Signature]) -> None:
    codebook = standard()
    assert codebook.paths(*stacked(many)).tolist() == [codebook.path(one) for one in many]


@given(signatures())
def test_a_projection_consists_of_integers_in_any_batch(
    one: Signature,
) -> None:
    buckets, weights = stacked([one] * 65)
    assert (projected(buckets, weights)[0] == projected(buckets[:1], weights[:1])[0]).all()
    assert (projected(buckets, weights) % 1 == 0).all()


def test_an_id_is_the_path_of_the_profile_then_the_hash_of_the_address() -> None:
    codebook = standard()
    record = Record(b"n" * 20, A)
    own = node_id(record, codebook)
    assert own >> (64 - codebook.depth) == codebook.path(A)
    hashed = int(address_hashes([record.node])[0])
    assert own & ((1 << (64 - codebook.depth)) - 1) == hashed >> codebook.depth
    assert Prefix.of(own, codebook.depth).holds(node_id(Record(b"m" * 20, A), codebook))


@settings(max_examples=30)
@given(st.integers(2, 400), st.integers(0, 2**32))
def test_communities_hold_every_node_once_and_none_is_above_the_limit(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    paths = generator.integers(0, 4, n).astype(np.uint64)
    found = partition(node_ids(paths, generator.integers(0, 2**63, n).astype(np.uint64), 11))
    assert sorted(found.order.tolist()) == list(range(n))
    assert found.sizes.sum() == n
    assert (found.sizes > 0).all()
    assert (found.sizes <= split_above(n)).all()
    for number, one in enumerate(found.ids.tolist()):
        index = found.community_of(one)
        assert found.prefixes[index].holds(one)
        assert found.starts[index] <= number < found.starts[index + 1]
        known = found.ids[found.starts[index] : found.starts[index + 1]]
        prefix = found.prefixes[index]
        # The partition agrees with each member's own rule; a shorter prefix would have too many.
        assert own_prefix(one, prefix.length, known, split_above(n), n) == prefix


def test_a_community_above_the_limit_is_cut_and_a_small_one_falls_back() -> None:
    limit = split_above(8)
    assert limit == 11
    known = np.sort(np.arange(limit + 1, dtype=np.uint64) << np.uint64(60))
    assert own_prefix(0, 0, known, 0, 8) == Prefix(0, 1)
    few = known[:8]  # those that start with a 0
    assert own_prefix(0, 1, few, 4, 8) == Prefix(0, 1)
    assert own_prefix(0, 1, few, 3, 8) == Prefix(0, 0)


def test_sizes_of_tables_follow_the_logarithm_of_the_network() -> None:
    assert [(table_communities(n), table_contacts(n)) for n in (10**4, 10**5, 10**6)] == [
        (14, 4),
        (17, 5),
        (20, 5),
    ]
    assert (table_communities(1), table_contacts(1)) == (1, 1)
