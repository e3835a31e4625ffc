"""The scores that a member votes: what a round's models are worth on the evaluation slice.

All members that score the same models on the same slice, with the same record of earlier rounds,
get the same numbers. Scores are in 1/10,000, lower is better; INVALID is for what the declared
mechanism cannot have produced.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fedpact.consensus.leader import capped_weights
from fedpact.consensus.shapley import Contribution, Game
from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.learning.artefact import Model
from fedpact.learning.bounds import update_norm, update_norm_bounds
from fedpact.learning.families import family_of
from fedpact.types.privacy import PrivacyMode
from fedpact.types.scores import INVALID, MAX_SCORE
from fedpact.types.specification import ScoreKind, Specification

NEUTRAL = 5000
"""Score of a contribution that neither helps nor harms beyond doubt: the gate of `contribution`."""
HARM_SIGMAS = 3.0
"""Standard errors below zero beyond which a sum of contributions counts as harm."""
TOLERATED = 0.1
"""Harm per round that is tolerated, as a fraction of what a seat of that weight contributes on
average: where labels are spread unevenly, an honest model trained on what all others hold costs a
little. Only without privacy: beside noise, harm beyond the statistical error is far larger."""
LARGEST_NORM = 10.0
"""Norm of an update, as a multiple of the median, above which it cannot be training."""
MIN_EFFECT = 0.25
"""Effect of an update on the errors, as a fraction of the median, below which it shows no work."""
MIN_NOVELTY = 0.05
"""Distance from another seat's model of the previous round, as a fraction of the median norm of an
update, below which a model counts as its copy."""
UNJUDGED = 0
"""Score of every valid model in a round that gathers statistics, or whose slice was not opened in
time."""


@dataclass(frozen=True)
class Standing:
    """The sum of one seat's contributions so far, in units of error."""

    gain: float = 0.0
    """Sum over the rounds of the mean contribution per example."""
    rounds: int = 0
    deficit: float = 0.0
    """Sum of contributions and tolerated harm since it last was not negative (Page 1954); at most
    0."""
    variance: float = 0.0
    """Of `deficit`."""

    def after(self, contribution: Contribution, tolerated: float = 0.0) -> "Standing":
        """The standing after one more round, in which harm up to `tolerated` does not count.

        Earlier gains are no credit against later harm: a sum that is not negative starts again at
        zero.
        """
        deficit = self.deficit + contribution.total + tolerated
        return Standing(
            gain=self.gain + contribution.total / contribution.examples,
            rounds=self.rounds + 1,
            deficit=min(deficit, 0.0),
            variance=self.variance + contribution.variance if deficit < 0 else 0.0,
        )

    @property
    def harm(self) -> float:
        """How far the deficit exceeds its statistical error; positive only if it does."""
        return -self.deficit - HARM_SIGMAS * math.sqrt(self.variance)

    @property
    def harmful(self) -> bool:
        """Whether the deficit exceeds its statistical error."""
        return self.harm > 0

    @property
    def score(self) -> int:
        """NEUTRAL minus the mean contribution per round; above NEUTRAL only if harmful."""
        mean = round(MAX_SCORE * self.gain / self.rounds) if self.rounds else 0
        if self.harmful:
            return min(MAX_SCORE, NEUTRAL + max(1, -mean))
        return max(0, NEUTRAL - max(0, mean))


@dataclass(frozen=True)
class ContributionRecord:
    """Standings by seat after the rounds scored so far; an auditor recomputes it from the first."""

    standings: Mapping[int, Standing] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; floats keep all their bits."""
        return {
            str(seat): [one.gain, one.rounds, one.deficit, one.variance]
            for seat, one in sorted(self.standings.items())
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ContributionRecord":
        """The record that `to_json` wrote; raises InvalidInput for anything else."""
        try:
            return cls(
                {
                    int(seat): Standing(float(gain), int(rounds), float(deficit), float(variance))
                    for seat, (gain, rounds, deficit, variance) in value.items()
                }
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a record of contributions: {error}") from error


@dataclass(frozen=True)
class RoundInputs:
    """What the scores of a round follow from, besides the contribution record.

    Mappings are by seat. Every member that holds the same inputs and record gets the same scores.
    """

    spec: Specification
    round_number: int
    """From 1."""
    start: Model
    """The global model that the round began from."""
    models: Mapping[int, Model | None]
    """The submitted local models; None where one is missing or does not fit the template."""
    samples: Mapping[int, int]
    """Declared samples of the same seats."""
    evaluation: Dataset | None
    """The round's evaluation slice. Without it (it was not opened in time), all valid models get
    the same score."""
    starts: Mapping[int, Model] = field(default_factory=dict)
    """Where the strategy had each seat's local training start, from which its update is measured;
    `start` for seats left out."""
    published: Mapping[int, Model] = field(default_factory=dict)
    """The valid models of the previous round: a member that submits one of them again did not
    train."""


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
    valid = _novel(inputs, _plausible(inputs))
    scores = dict.fromkeys(sorted(inputs.models), INVALID)
    model_family = family_of(spec)
    if evaluation is None or not len(evaluation) or model_family.gathers(inputs.round_number):
        scores.update(dict.fromkeys(valid, UNJUDGED))
    elif spec.score is ScoreKind.MODEL:
        for seat, model in valid.items():
            scores[seat] = model_family.error(spec, model, evaluation.x, evaluation.y)
    elif valid:
        weights = capped_weights(samples)
        if spec.privacy.mode is not PrivacyMode.SOUND and model_family.moves:
            valid = _at_work(inputs, valid, weights, evaluation)
        game = Game(spec, inputs.start, valid, weights, evaluation)
        part_tolerated = TOLERATED if spec.privacy.mode is PrivacyMode.NONE else 0.0
        judged = _judged(game, weights, valid, record.standings, part_tolerated)
        scores.update({seat: one.score for seat, one in judged.items()})
        record = ContributionRecord({**record.standings, **judged})
    return scores, record


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


def _novel(inputs: RoundInputs, models: Mapping[int, Model]) -> dict[int, Model]:
    """The models that do not repeat one of the previous round.

    Under `sound`, fresh noise keeps an honest model as far from any older model, its own included,
    as from its start. Without privacy, a member's own model may hardly change any more; but it is
    never that close to another member's, because batches, data and the global model in between
    differ.
    """
    published, spec = inputs.published, inputs.spec
    if not published or not models:
        return dict(models)
    private = spec.privacy.mode is PrivacyMode.SOUND
    if private:
        number, samples = inputs.round_number, inputs.samples
        least = {seat: update_norm_bounds(spec, samples[seat], number)[0] for seat in models}
    else:
        norms = sorted(update_norm(inputs.start, model) for model in models.values())
        least = dict.fromkeys(models, MIN_NOVELTY * norms[len(norms) // 2])
    return {
        seat: model
        for seat, model in models.items()
        if all(
            update_norm(older, model) >= least[seat]
            for owner, older in published.items()
            if private or owner != seat
        )
    }


def _at_work(
    inputs: RoundInputs,
    models: Mapping[int, Model],
    weights: Mapping[int, int],
    evaluation: Dataset,
) -> dict[int, Model]:
    """The models whose update looks like training.

    Where no mechanism bounds an update, the committee's own median does: it bounds the norm from
    above and the effect on the errors from below. A member that takes more steps than usual may go
    further; one that takes fewer may do less. Of an even number, the median is the middle value
    that excludes less.
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
    effects = Game(spec, start, small, weights, evaluation).effects()
    least = MIN_EFFECT * sorted(effects.values())[(len(effects) - 1) // 2]
    return {
        seat: model
        for seat, model in small.items()
        if effects[seat] >= least * min(1.0, steps[seat] / usual)
    }


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
