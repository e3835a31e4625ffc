"""What counts as new in an update, and what a game pays for it."""

import numpy as np
import pytest

from fedpact.consensus import public_updates
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.public_updates import (
    MAX_VALUES,
    MAX_VECTORS,
    MIN_DIMENSION,
    PublicUpdates,
    Span,
    most_vectors,
)
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import score_round
from fedpact.consensus.shapley import Game, NewGame
from fedpact.data.dataset import Dataset
from fedpact.learning.aggregation.base import flatten, restore
from fedpact.learning.artefact import Template
from fedpact.learning.families import family
from fedpact.learning.update_bounds import update_norm_bounds
from fedpact.types.scores import INVALID
from tests.support.specifications import SOUND, specification

VALUES = 40
SPEC = specification(features={"shape": [VALUES]}, rounds=3)
START = family("softmax-regression").initial(SPEC, seed=0)
DIMENSION = 3 * (VALUES + 1)
GENERATOR = np.random.default_rng(5)
SLICE = Dataset(GENERATOR.normal(size=(30, VALUES)).astype(np.float32), np.arange(30) % 3, ())


def vectors(count, seed=0, dimension=DIMENSION):
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    return [one.astype(np.float32) for one in drawn]


def trained(seed, scale=0.1):
    """An update as gradients give it: along the examples of the slice's kind."""
    drawn = np.random.default_rng(seed).integers(0, 30, 20)
    wanted = np.eye(3)[SLICE.y[drawn]] - 1 / 3
    weight = wanted.T @ SLICE.x[drawn] / 20
    return {
        "output.weight": (scale * weight).astype(np.float32),
        "output.bias": (scale * wanted.mean(axis=0)).astype(np.float32),
    }


def moved(update):
    return restore(flatten(START) + update, Template.of(START))


# ---------------------------------------------------------------------- the span


def test_the_new_part_is_what_least_squares_leaves():
    public, update = vectors(5), vectors(1, seed=9)[0].astype(np.float64)
    basis = np.array(public, np.float64).T
    fitted = basis @ np.linalg.lstsq(basis, update, rcond=None)[0]
    assert Span(public).new_part(update) == pytest.approx(update - fitted, abs=1e-9)
    assert Span(public).rank == 5


def test_a_large_span_is_taken_away_block_by_block(monkeypatch):
    whole, update = Span(vectors(9)), vectors(1, seed=9)[0].astype(np.float64)
    monkeypatch.setattr(public_updates, "BLOCK_VALUES", 4 * DIMENSION)
    parted = Span(vectors(9))
    assert parted.rank == whole.rank == 9
    assert parted.new_part(update) == pytest.approx(whole.new_part(update), abs=1e-12)


def test_nearly_dependent_vectors_leave_nothing_of_themselves():
    public = vectors(4)
    public += [
        one + np.float32(1e-5) * other for one, other in zip(public, vectors(4, 3), strict=True)
    ]
    span = Span(public)
    for one in public:
        assert np.abs(span.new_part(one.astype(np.float64))).max() < 1e-12
    assert span.rank == 8


def test_a_mixture_of_public_vectors_has_nothing_new():
    public = vectors(6)
    mixture = 0.3 * public[1].astype(np.float64) - 2.0 * public[4]
    assert np.abs(Span(public).new_part(mixture)).max() < 1e-9


def test_zero_and_repeated_vectors_add_no_dimension():
    first, second = vectors(2)
    public = [first, np.zeros_like(first), first * np.float32(3), second, first + second]
    assert Span(public).rank == 2


def test_the_span_is_bounded_in_vectors_values_and_dimensions():
    assert most_vectors(MIN_DIMENSION - 1) == 0
    assert most_vectors(100) == 25
    assert most_vectors(10_000) == MAX_VECTORS
    assert most_vectors(10**6) == MAX_VALUES // 10**6


# ---------------------------------------------------------------------- under sound


def test_fresh_noise_always_leaves_enough_outside_a_public_span():
    spec = specification(features={"shape": [VALUES]}, rounds=3, privacy=SOUND)
    samples, rank = 100, 30
    spread = 2.0 * 1.0 / samples  # noise multiplier times norm over samples, at rate 1
    span = Span(vectors(rank))
    low, _ = update_norm_bounds(spec, samples, 2, span.rank)
    assert 0 < low < update_norm_bounds(spec, samples, 2)[0]
    for seed in range(50):
        noise = vectors(1, seed=100 + seed)[0].astype(np.float64) * spread
        assert np.linalg.norm(span.new_part(noise)) > low


def test_under_sound_a_mixture_of_public_updates_is_invalid_and_fresh_noise_is_not():
    spec = specification(features={"shape": [VALUES]}, rounds=3, privacy=SOUND)
    generator = np.random.default_rng(1)
    spread = 2.0 / 100
    earlier = [
        (flatten(trained(seed)) + spread * generator.normal(size=DIMENSION)).astype(np.float32)
        for seed in range(4)
    ]
    fresh = spread * generator.normal(size=DIMENSION)
    submitted = {
        0: flatten(trained(7)) + fresh,
        1: earlier[1].astype(np.float64) * 0.9,  # its own, once more
        2: (earlier[0] + earlier[3]) * 0.7,
        3: flatten(trained(8)) + spread * generator.normal(size=DIMENSION),
    }
    public = PublicUpdates(tuple(earlier), dict.fromkeys(range(4), 1))
    models = {seat: moved(update) for seat, update in submitted.items()}
    inputs = RoundInputs(spec, 2, START, models, dict.fromkeys(models, 100), SLICE, public=public)
    scores, _ = score_round(inputs, ContributionRecord())
    assert [seat for seat, score in scores.items() if score == INVALID] == [1, 2]


# ---------------------------------------------------------------------- without privacy


def scored(submitted, earlier, owned):
    models = {seat: moved(update) for seat, update in submitted.items()}
    inputs = RoundInputs(
        SPEC,
        2,
        START,
        models,
        dict.fromkeys(models, 100),
        SLICE,
        public=PublicUpdates(tuple(one.astype(np.float32) for one in earlier), owned),
    )
    scores, _ = score_round(inputs, ContributionRecord())
    return [seat for seat, score in scores.items() if score == INVALID]


def test_multiples_mixtures_and_noise_of_no_effect_are_invalid():
    earlier = [flatten(trained(seed)) for seed in range(5)]
    update = {seat: flatten(trained(10 + seat)) for seat in range(3)}
    noise = np.random.default_rng(2).normal(size=DIMENSION)
    size = np.linalg.norm(update[0]) / np.linalg.norm(noise)
    submitted = update | {
        3: 0.5 * earlier[3].astype(np.float32).astype(np.float64),
        4: 0.4 * earlier[0] + 0.6 * earlier[1],
    }
    assert scored(submitted, earlier, dict.fromkeys(range(5), 1)) == [3, 4]
    # Where the examples span few directions, noise has less effect than a gradient of its norm.
    flat = noise.copy()
    flat[: 3 * VALUES] = 0.0
    flat *= size * np.linalg.norm(noise) / np.linalg.norm(flat) * 0.02
    hidden = submitted | {3: 0.5 * earlier[3] + flat}
    assert 3 in scored(hidden, earlier, dict.fromkeys(range(5), 1))


def test_a_member_of_long_standing_is_not_measured_by_newcomers():
    # Its updates resemble its many earlier ones; newcomers have none in the span.
    earlier = [flatten(trained(0, scale)) + 0.01 * flatten(trained(50)) for scale in (0.1, 0.09)]
    veteran = flatten(trained(0, 0.08)) + 1e-4 * flatten(trained(60))
    newcomers = {seat: flatten(trained(10 + seat)) for seat in (1, 2, 3)}
    assert scored({0: veteran} | newcomers, earlier, {0: 2}) == []
    assert scored({0: veteran} | newcomers, earlier, dict.fromkeys(range(4), 2)) == [0]


# ---------------------------------------------------------------------- what is paid


def new_game(spec, models, parts, movement=None):
    weights = dict.fromkeys(models, 1)
    return NewGame(spec, START, models, weights, SLICE, new_parts=parts, movement=movement)


def total_error(model):
    return family("softmax-regression").example_errors(SPEC, model, SLICE.x, SLICE.y).sum()


def test_under_sound_only_new_parts_are_paid():
    spec = specification(features={"shape": [VALUES]}, rounds=3, privacy=SOUND)
    updates = {seat: flatten(trained(seat)) for seat in range(3)}
    models = {seat: moved(update) for seat, update in updates.items()}
    updates = {seat: flatten(model) - flatten(START) for seat, model in models.items()}
    parts = {0: updates[0], 1: 0.5 * updates[1], 2: np.zeros(DIMENSION)}
    found = new_game(spec, models, parts).contributions(models)
    assert found[2].total == 0.0
    assert found[0].total > found[1].total > 0.0
    known = sum(updates[seat] - parts[seat] for seat in models) / 3
    whole = sum(updates.values()) / 3
    gained = total_error(moved(known)) - total_error(moved(whole))
    assert sum(one.total for one in found.values()) == pytest.approx(gained, abs=1e-3)


def test_the_phantom_takes_the_value_of_what_repeats_the_last_movement():
    movement = flatten(trained(0)) + flatten(trained(1))
    updates = {0: flatten(trained(5)), 1: movement}
    models = {seat: moved(update) for seat, update in updates.items()}
    weights = dict.fromkeys(models, 1)
    alone = Game(SPEC, START, models, weights, SLICE).contributions(models)
    beside = new_game(SPEC, models, updates, movement).contributions(models)
    assert set(beside) == {0, 1}
    assert beside[1].total < alone[1].total
    together = total_error(START) - total_error(moved(movement + sum(updates.values()) / 2))
    assert sum(one.total for one in beside.values()) < together
