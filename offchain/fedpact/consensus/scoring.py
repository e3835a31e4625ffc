"""The scores that a member votes: what a round's models are worth on the evaluation slice.

All members that score the same models on the same slice, with the same record of earlier rounds,
get the same numbers. Scores are in 1/10,000, lower is better; INVALID is for what the declared
mechanism cannot have produced, and for updates in which nothing is new.

A score of kind `contribution` says which share of the round's gain is the model's. Shares depend on
the slice, so nobody can guess them from earlier rounds. Two sums over the rounds are kept in the
record: harm decides whether a model is left out, and a loss is made good before a gain is paid.
"""

import math
from collections.abc import Collection, Mapping

import numpy as np

from fedpact.consensus.aggregate import combining_weights
from fedpact.consensus.contribution_record import ContributionRecord, Standing
from fedpact.consensus.novelty import NewParts, new_parts, novel, peers_of, updates_of
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.shapley import Contribution, Game, NewGame
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.reproducible_sums import length
from fedpact.learning.update_bounds import update_norm, update_norm_bounds
from fedpact.types.privacy import PrivacyMode
from fedpact.types.scores import INVALID
from fedpact.types.specification import ScoreKind

NEUTRAL = 5000
"""Score of a contribution that neither helps nor harms beyond doubt: the gate of `contribution`."""
TOLERATED = 0.1
"""Harm per round that is tolerated, as a fraction of what a seat of that weight contributes on
average: where labels are spread unevenly, an honest model trained on what all others hold costs a
little. Only without privacy: beside noise, harm beyond the statistical error is far larger."""
LARGEST_NORM = 10.0
"""Norm of an update, as a multiple of the median, above which it cannot be training."""
MIN_EFFECT = 0.25
"""Effect of an update on the errors, as a fraction of the median, below which it shows no work."""
MIN_NEW_EFFECT = 0.3
"""Effect of a new part on the errors, all at the same norm, as a fraction of the median, below
which it counts as noise."""
EVEN_SHARE = 500
"""How far below NEUTRAL the score of a model with an even share of the round's gain is: one of ten,
whatever the number of members, so that the vote band means the same in all committees."""
UNJUDGED = 0
"""Score of every valid model in a round that gathers statistics, or whose slice was not opened in
time."""


def score_round(
    inputs: RoundInputs, record: ContributionRecord
) -> tuple[dict[int, int], ContributionRecord]:
    """Scores of all submitted seats, and the record for the next round.

    Args:
        record: what this function returned for the previous round; empty in the first.

    Raises:
        InvalidInput: a submitted seat without declared samples.
    """
    spec, samples, evaluation = inputs.spec, inputs.samples, inputs.evaluation
    missing = sorted(set(inputs.models) - set(samples))
    if missing:
        raise InvalidInput(f"round {inputs.round_number}: seats {missing} declared no samples")
    plausible = _plausible(inputs)
    news = new_parts(inputs, plausible)
    valid = novel(inputs, plausible, news)
    scores = dict.fromkeys(sorted(inputs.models), INVALID)
    model_family = family_of(spec)
    if evaluation is None or not len(evaluation) or model_family.gathers(inputs.round_number):
        scores.update(dict.fromkeys(valid, UNJUDGED))
    elif spec.score is ScoreKind.MODEL:
        for seat, model in valid.items():
            scores[seat] = model_family.error(spec, model, evaluation.x, evaluation.y)
    elif valid:
        weights = combining_weights(spec, samples)
        if spec.privacy.mode is not PrivacyMode.SOUND and model_family.moves:
            valid = _at_work(inputs, valid, weights, evaluation, news)
        game = Game(spec, inputs.start, valid, weights, evaluation)
        part_tolerated = TOLERATED if spec.privacy.mode is PrivacyMode.NONE else 0.0
        judged = _judged(game, weights, valid, record.standings, part_tolerated)
        players = [seat for seat, one in sorted(judged.items()) if not one.harmful]
        if model_family.moves:
            parts = updates_of(inputs, valid) if news is None else news.parts
            game = NewGame(
                spec,
                inputs.start,
                valid,
                weights,
                evaluation,
                new_parts=parts,
                movement=inputs.movement,
            )
        paid = game.contributions(players)
        standings, found = _scored(judged, paid)
        scores.update(found)
        record = ContributionRecord({**record.standings, **standings})
    return scores, record


def _scored(
    judged: Mapping[int, Standing], paid: Mapping[int, Contribution]
) -> tuple[dict[int, Standing], dict[int, int]]:
    """The standings after what the round pays, and the scores: NEUTRAL less each model's share of
    the gain; above NEUTRAL for harmful models."""
    standings = dict(judged)
    gains: dict[int, float] = {}
    for seat, one in paid.items():
        standings[seat], gains[seat] = judged[seat].paid(one)
    total = math.fsum(gains.values())
    unit = EVEN_SHARE * len(gains) / total if total > 0 else 0.0
    scores = dict.fromkeys(judged, NEUTRAL + 1)
    scores.update({seat: NEUTRAL - min(NEUTRAL, round(unit * gains[seat])) for seat in gains})
    return standings, scores


def _plausible(inputs: RoundInputs) -> dict[int, Model]:
    """The models whose update, or at least its norm, the declared mechanism can have produced, and
    that leave alone every tensor that the round does not train."""
    spec, number, model_family = inputs.spec, inputs.round_number, family_of(inputs.spec)
    moved = model_family.moved(spec, number)
    found = {}
    for seat, model in sorted(inputs.models.items()):
        start, samples = inputs.starts.get(seat, inputs.start), inputs.samples[seat]
        if model is None or not _same_but(moved, start, model):
            continue
        low, high = update_norm_bounds(spec, samples, number)
        if low <= update_norm(start, model) <= high and model_family.plausible(
            spec, start, model, samples
        ):
            found[seat] = model
    return found


def _same_but(moved: Collection[str], start: Model, model: Model) -> bool:
    return all(np.array_equal(model[name], start[name]) for name in start if name not in moved)


def _at_work(
    inputs: RoundInputs,
    models: Mapping[int, Model],
    weights: Mapping[int, int],
    evaluation: Dataset,
    news: NewParts | None,
) -> dict[int, Model]:
    """The models whose update looks like training.

    Where no mechanism bounds an update, the committee's own median does: it bounds the norm from
    above and the effect on the errors from below. A member that takes more steps than usual may go
    further; one that takes fewer may do less. Of an even number, the median is the middle value
    that excludes less.

    What is new in an update must look like training too: gradients act on the errors, noise of the
    same norm hardly does.
    """
    spec, start, samples = inputs.spec, inputs.start, inputs.samples
    steps = {seat: spec.local.steps_for(samples[seat]) for seat in models}
    usual = sorted(steps.values())[len(steps) // 2]
    norms = {seat: update_norm(start, model) for seat, model in models.items()}
    most = LARGEST_NORM * sorted(norms.values())[len(norms) // 2]
    small = {
        seat: model
        for seat, model in models.items()
        if norms[seat] <= most * max(1.0, steps[seat] / usual)
    }
    game = Game(spec, start, small, weights, evaluation)
    effects = game.effects()
    least = MIN_EFFECT * sorted(effects.values())[(len(effects) - 1) // 2]
    acting = {
        seat: model
        for seat, model in small.items()
        if effects[seat] >= least * min(1.0, steps[seat] / usual)
    }
    if news is None or not acting:
        return acting
    norm = sorted(norms[seat] for seat in acting)[len(acting) // 2]
    fresh = game.effects_of(
        {seat: news.parts[seat] * (norm / length(news.parts[seat])) for seat in acting}
    )
    found = {}
    for seat, model in acting.items():
        peers = peers_of(inputs, acting, seat)
        middle = sorted(fresh[other] for other in peers)[(len(peers) - 1) // 2]
        if fresh[seat] >= MIN_NEW_EFFECT * middle:
            found[seat] = model
    return found


def _judged(
    game: Game,
    weights: Mapping[int, int],
    seats: Collection[int],
    before: Mapping[int, Standing],
    part_tolerated: float,
) -> dict[int, Standing]:
    """The seats' standings after this round.

    The value of a model depends on the models that it is averaged with, so values are computed
    among those that do no harm: as long as some are harmful, the worst is removed and all values
    are computed again. A removed seat, now or in an earlier round, is judged by what it would add
    to the rest, and comes back when its sum recovers.
    """
    known = {seat: before.get(seat, Standing()) for seat in seats}
    players = {seat for seat in seats if not known[seat].harmful} or set(seats)
    while True:
        found = game.contributions(players)
        gain = math.fsum(max(0.0, one.total) for one in found.values())
        tolerated = part_tolerated * gain / max(1, sum(weights[seat] for seat in players))
        found |= {seat: game.marginal(seat, players) for seat in seats if seat not in players}
        after = {
            seat: known[seat].after(one, tolerated * weights[seat])
            for seat, one in sorted(found.items())
        }
        harmful = sorted(seat for seat in players if after[seat].harmful)
        if not harmful or len(harmful) == len(players):
            return after
        players.remove(max(harmful, key=lambda seat: after[seat].harm))
