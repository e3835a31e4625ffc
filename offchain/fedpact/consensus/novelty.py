"""Which models of a round are new: no copies, no replays, no mixtures of what was public before."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fedpact.consensus.public_updates import Span
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.learning.aggregation.base import Vector, flatten
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.reproducible_sums import length
from fedpact.learning.update_bounds import update_norm, update_norm_bounds
from fedpact.types.privacy import PrivacyMode

MIN_NEW = 0.25
"""Norm of an update's new part, as a fraction of the median, below which it counts as put together
from public updates."""
MIN_NOVELTY = 0.05
"""Distance from another seat's model of the previous round, as a fraction of the median norm of an
update, below which a model counts as its copy. Where the span of public updates says nothing."""


def updates_of(inputs: RoundInputs, models: Mapping[int, Model]) -> dict[int, Vector]:
    """What each member's training changed, (d,), by seat."""
    start = flatten(inputs.start)
    return {
        seat: flatten(model) - (flatten(inputs.starts[seat]) if seat in inputs.starts else start)
        for seat, model in models.items()
    }


@dataclass(frozen=True)
class NewParts:
    """What is new in a round's updates."""

    parts: Mapping[int, Vector]
    """By seat, each (d,)."""
    rank: int
    """Dimensions of the public span."""


def new_parts(inputs: RoundInputs, models: Mapping[int, Model]) -> NewParts | None:
    """None where nothing counts as known: few dimensions, a first round, models that do not move
    a point."""
    if not inputs.public.vectors or not family_of(inputs.spec).moves:
        return None
    span = Span(inputs.public.vectors)
    updates = updates_of(inputs, models)
    return NewParts({seat: span.new_part(one) for seat, one in updates.items()}, span.rank)


def novel(
    inputs: RoundInputs, models: Mapping[int, Model], news: NewParts | None
) -> dict[int, Model]:
    """The models that are neither put together from public updates nor repeated.

    Args:
        news: what `new_parts` returned for the same models.
    """
    return _unrepeated(inputs, models) if news is None else _new(inputs, models, news)


def _new(inputs: RoundInputs, models: Mapping[int, Model], news: NewParts) -> dict[int, Model]:
    """The models whose updates nobody could have put together from public ones.

    Under `sound`, the noise of the last step alone leaves a least norm outside any public span.
    Without a mechanism, training on the same data for long gives updates that resemble earlier
    ones more and more; how much, the others' show. A seat is compared with seats that have at least
    as many earlier updates in the span: fewer of them leave more that is new.
    """
    spec, samples, number = inputs.spec, inputs.samples, inputs.round_number
    norms = {seat: length(one) for seat, one in news.parts.items()}
    if spec.privacy.mode is PrivacyMode.SOUND:
        least = {
            seat: update_norm_bounds(spec, samples[seat], number, news.rank)[0] for seat in models
        }
    else:
        steps = {seat: spec.local.steps_for(samples[seat]) for seat in models}
        least = {}
        for seat in models:
            peers = peers_of(inputs, models, seat)
            usual = sorted(norms[other] for other in peers)[(len(peers) - 1) // 2]
            usual_steps = sorted(steps[other] for other in peers)[len(peers) // 2]
            least[seat] = MIN_NEW * usual * min(1.0, steps[seat] / usual_steps)
    return {seat: model for seat, model in models.items() if norms[seat] >= least[seat]}


def peers_of(inputs: RoundInputs, models: Collection[int], seat: int) -> list[int]:
    """The seats with at least as many earlier updates in the span, the seat itself among them."""
    owned = inputs.public.owned
    return [other for other in models if owned.get(other, 0) >= owned.get(seat, 0)]


def _unrepeated(inputs: RoundInputs, models: Mapping[int, Model]) -> dict[int, Model]:
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
