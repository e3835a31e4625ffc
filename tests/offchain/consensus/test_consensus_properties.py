"""What holds of boards, orders, payments and reputations for all inputs."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.consensus import reputation
from fedpact.consensus.leader import (
    Candidate,
    approvals_needed,
    by_turns,
    by_weighted_error,
    capped_weights,
)
from fedpact.consensus.payout import payouts, pool
from fedpact.consensus.proof_of_quality import judge, pack_points, points_of, rewards
from fedpact.errors import InvalidInput
from fedpact.types.attributes import Attribute, AttributeTree, verify_attribute
from fedpact.types.requests import ApprovalRule, CohortMember, Earned
from fedpact.types.scores import INVALID, MAX_SCORE, lane, median_score, pack_scores

scores = st.one_of(st.integers(0, 10_000), st.just(INVALID))
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
words32 = st.binary(min_size=32, max_size=32)


@st.composite
def rounds(draw):
    """Arguments of `judge`: votes of the seats that revealed, on those that submitted."""
    submitted = draw(st.sets(st.integers(0, 15), min_size=1))
    revealed = draw(st.sets(st.sampled_from(sorted(submitted))))
    votes = {
        voter: pack_scores({seat: draw(scores) for seat in submitted if seat != voter})
        for voter in revealed
    }
    mask = sum(1 << seat for seat in submitted)
    return votes, mask, draw(st.integers(1, 10_000)), draw(st.integers(0, 1000))


@given(rounds(), scores)
def test_a_vote_never_moves_the_median_of_its_own_model(round_, vote):
    votes, *rest = round_
    stuffed = {seat: word | vote << 14 * seat for seat, word in votes.items()}

    assert judge(stuffed, *rest) == judge(*round_)


@given(rounds())
def test_a_round_never_gives_more_than_its_points(round_):
    board, _ = judge(*round_)
    leading = board.eligible.bit_length() - 1 if board.eligible else 16
    given_ = sum(points_of(board.points, 16)) + sum(points_of(rewards(board.eligible, leading), 16))

    assert given_ <= 10_000


@given(rounds())
def test_points_go_to_valid_models_of_honest_voters_alone(round_):
    votes, submitted, *_ = round_
    board, _ = judge(*round_)
    valid = sum(1 << seat for seat in range(16) if lane(board.medians, seat) <= MAX_SCORE)
    revealed = sum(1 << seat for seat in votes)

    assert board.included & ~valid == valid & ~submitted == 0
    if len(votes) > 1:
        assert board.eligible == valid & revealed & ~board.faults
    for seat, own in enumerate(points_of(board.points, 16)):
        assert own == 0 or board.eligible >> seat & 1


@given(st.integers(2, 16), st.integers(0, 14), st.integers(0, 4999))
def test_a_model_worth_nothing_earns_its_votes_alone(seats, others, error):
    """ADR 53: of whoever votes like all others and adds nothing."""
    riders = 1 + others % (seats - 1)
    medians = [5000] * riders + [error] * (seats - riders)
    votes = {
        voter: pack_scores({seat: medians[seat] for seat in range(seats) if seat != voter})
        for voter in range(seats)
    }
    board, _ = judge(votes, (1 << seats) - 1, 5000, 300)

    assert points_of(board.points, riders) == (1000 // seats,) * riders


@given(st.lists(scores, min_size=1))
def test_a_median_is_within_the_votes(votes):
    median = median_score(votes)

    assert min(votes) <= median <= max(votes)
    assert sum(vote <= median for vote in votes) * 2 >= len(votes)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=15), st.integers(1, 7))
def test_half_of_the_votes_does_not_make_a_model_invalid(votes, liars):
    liars = min(liars, len(votes))

    assert median_score(votes + [INVALID] * liars) <= 10_000


@given(st.dictionaries(st.integers(0, 15), scores))
def test_packing_is_undone_by_reading_lanes(by_seat):
    word = pack_scores(by_seat)

    assert [lane(word, seat) for seat in range(16)] == [by_seat.get(seat, 0) for seat in range(16)]


@pytest.mark.parametrize("by_seat", [{16: 1}, {-1: 1}, {0: 10_001}, {0: -1}, {0: 16_384}])
def test_packing_refuses_what_the_contract_refuses(by_seat):
    with pytest.raises(InvalidInput):
        pack_scores(by_seat)


@st.composite
def elections(draw):
    accounts = draw(st.lists(addresses, min_size=1, max_size=16, unique=True))
    candidates = [
        Candidate(
            seat,
            account,
            median=draw(st.sampled_from([0, 100, 10_000])),
            weight=draw(st.sampled_from([1, 50, 10_000_000])),
        )
        for seat, account in enumerate(accounts)
    ]
    return candidates, draw(st.integers(1, 1000))


@st.composite
def committees(draw):
    accounts = draw(st.lists(addresses, min_size=1, max_size=16, unique=True))
    reputations = st.sampled_from([0, 4000, 10_000])
    return [
        CohortMember(seat, account, 100, draw(reputations)) for seat, account in enumerate(accounts)
    ]


@given(elections(), st.randoms())
def test_the_order_by_weighted_error_does_not_depend_on_the_listing(election, shuffler):
    candidates, number = election
    total = sum(candidate.weight for candidate in candidates)
    order = by_weighted_error(candidates, number, total)
    shuffled = candidates.copy()
    shuffler.shuffle(shuffled)

    assert sorted(order) == [candidate.seat for candidate in candidates]
    assert by_weighted_error(shuffled, number, total) == order


@given(committees())
def test_each_member_leads_once_before_one_leads_again(members):
    leaders, last = [], None
    for _ in range(2 * len(members)):
        last = members[by_turns(members, last)[0]]
        leaders.append(last.seat)

    assert sorted(leaders[: len(members)]) == list(range(len(members)))
    assert leaders[len(members) :] == leaders[: len(members)]


@given(committees(), st.data())
def test_turns_pass_over_a_member_that_may_not_lead(members, data):
    absent = data.draw(st.sampled_from(members))
    last = data.draw(st.sampled_from([None, *members]))
    present = [one for one in members if one is not absent]

    assert by_turns(present, last) == [
        seat for seat in by_turns(members, last) if seat != absent.seat
    ]


@given(elections())
def test_the_poq_order_is_that_of_the_weighted_errors(election):
    candidates, number = election
    total = sum(candidate.weight for candidate in candidates)
    medians = [candidate.median for candidate in candidates]

    order = by_weighted_error(candidates, number, total)

    # Lu et al. 2020, eq. 7, as printed.
    mean = Fraction(sum(medians), len(medians))
    errors = [
        (1 + Fraction(candidates[seat].weight, total)) * candidates[seat].median + mean
        for seat in order
    ]
    assert errors == sorted(errors)


@given(st.dictionaries(st.integers(0, 15), st.integers(1, 10_000_000), min_size=1))
def test_weights_are_capped_at_two_medians_and_at_least_half_keep_theirs(samples):
    weights = capped_weights(samples)

    assert weights.keys() == samples.keys()
    assert all(1 <= weights[seat] <= samples[seat] for seat in samples)
    assert 2 * sum(weights[seat] == samples[seat] for seat in samples) >= len(samples)
    assert len({weights[seat] for seat in samples if weights[seat] < samples[seat]}) <= 1


@given(st.integers(2, 16), st.integers(0, 16), st.sampled_from(ApprovalRule))
def test_a_quorum_is_exactly_what_the_rules_require(revealed, expected, rule):
    def enough(approvals):
        share = approvals == revealed if rule is ApprovalRule.UNANIMOUS else None
        if share is None:
            share = 3 * approvals >= 2 * revealed
        return share and approvals >= 2 and 2 * approvals > expected

    needed = approvals_needed(revealed, expected, rule)

    for approvals in range(revealed + 1):
        assert enough(approvals) == (approvals >= needed)


@given(st.integers(1, 2**96 - 1), st.lists(st.integers(0, 10_000), min_size=1, max_size=16))
def test_shares_never_exceed_the_pay_and_leave_less_than_a_wei_each(pay, points):
    cohort = sum(seat << 16 * seat for seat in range(len(points)))
    entry = Earned(cohort, pack_points(dict(enumerate(points))), 1 << 16, bytes(32))
    paid = payouts([entry], pay, due=True, reached=True, max_rounds=1)

    assert sum(paid.values()) <= pay
    assert not any(points) or pay - sum(paid.values()) < len(points)
    assert all(paid.get(seat, 0) == 0 for seat, own in enumerate(points) if own == 0)


@given(st.integers(1, 2**96 - 1), st.booleans(), st.integers(0, 1000), st.integers(1, 1000))
def test_the_pool_never_exceeds_the_payment(wei, reached, paid, most):
    part = pool(wei, reached=reached, paid_rounds=min(paid, most), max_rounds=most)

    assert 0 <= part <= wei


outcomes = st.tuples(
    st.integers(0, 200), st.integers(0, 10_000), st.integers(0, 1000), st.integers(0, 10**8)
)
NOW = 1_800_000_000


@given(st.lists(outcomes, max_size=6), st.randoms())
def test_reputation_hardly_depends_on_the_order_of_settlements(history, shuffler):
    def settled(order):
        sums = reputation.Sums()
        for weight, quality, losses, age in order:
            sums = reputation.record(sums, weight, quality, losses, NOW - age, NOW)
        return reputation.score(sums, NOW)

    shuffled = history.copy()
    shuffler.shuffle(shuffled)

    assert abs(settled(shuffled) - settled(history)) <= 1


@given(outcomes, st.lists(st.integers(0, 10**8), max_size=4))
def test_reputation_hardly_depends_on_when_a_request_is_settled(outcome, delays):
    weight, quality, losses, _ = outcome
    at_once = reputation.record(reputation.Sums(), weight, quality, losses, NOW, NOW)
    later = NOW + sum(delays)

    late = reputation.record(reputation.Sums(), weight, quality, losses, NOW, later)

    assert abs(reputation.score(late, later) - reputation.score(at_once, later)) <= 1


@given(st.lists(outcomes, max_size=6), st.integers(0, 10**9))
def test_reputation_stays_on_its_scale(history, later):
    sums = reputation.Sums()
    for weight, quality, losses, age in history:
        sums = reputation.record(sums, weight, quality, losses, NOW - age, NOW)

    assert 0 <= reputation.score(sums, NOW + later) <= 10_000


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_decay_falls_and_splits_into_steps(first, second):
    whole = reputation.decay(first + second)
    steps = reputation.decay(first) * reputation.decay(second) // 10**18

    assert abs(whole - steps) <= 40
    assert whole <= reputation.decay(first)


@given(st.lists(st.tuples(words32, words32, words32), min_size=1, max_size=20), words32)
def test_an_attribute_tree_proves_its_attributes_and_nothing_else(fields, lie):
    attributes = [Attribute(*triple) for triple in fields]
    tree = AttributeTree(attributes)

    for index, attribute in enumerate(attributes):
        proof = tree.proof(index)
        forged = Attribute(attribute.name, lie, attribute.salt)
        assert verify_attribute(tree.root, attribute, proof)
        assert verify_attribute(tree.root, forged, proof) == (forged == attribute)


def test_an_attribute_tree_refuses_malformed_attributes():
    tree = AttributeTree([Attribute(bytes(32), bytes(32), bytes(32))])

    with pytest.raises(InvalidInput):
        AttributeTree([])
    with pytest.raises(InvalidInput):
        AttributeTree([Attribute(b"short", bytes(32), bytes(32))])
    with pytest.raises(InvalidInput):
        tree.proof(1)
