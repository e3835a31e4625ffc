"""Scores of the members of secure sums: nobody sees an update, so groups are judged.

What a group's sum gains is measured on the round's slice, by the examples' errors, which change
with every step (`shapley`): the number of wrong answers tells little of who trained and who masked
noise alone. A member's score follows from its worth, its part in the gains of all groups that it
was in (`groups.worths`); a group whose sum does harm is left out of the aggregate with all its
members. What has no earlier public part (docs/adr/0036) is not asked for: a group's sum cannot be
put together from public ones, since it is masked before any other is known.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.groups import GroupScore, worths
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import EVEN_SHARE, NEUTRAL, UNJUDGED
from fedpact.consensus.shapley import ERROR_BITS, rounded_errors
from fedpact.learning.artefact import Model
from fedpact.learning.families import family_of
from fedpact.learning.summed_release import plausible_group
from fedpact.types.scores import INVALID

HARM = 0.02
"""A group whose sum alone makes the mean error of an example larger by more than this is left out:
an honest sum at small epsilon may do a little harm by its noise."""


def score_groups(
    inputs: RoundInputs, record: ContributionRecord
) -> tuple[dict[int, int], ContributionRecord]:
    """Scores of all submitted seats, and the record for the next round, as `scoring.score_round`.

    INVALID: a seat without a sum that it is in, whose group's model is further from the start than
    its members can have made it, or of whose group two sums were opened: more of its members signed
    two than may collude. NEUTRAL less EVEN_SHARE: a worth as large as the mean of those above zero.
    """
    spec, evaluation = inputs.spec, inputs.evaluation
    scores = dict.fromkeys(sorted(inputs.models), INVALID)
    valid = _uncontradicted(inputs, _plausible(inputs))
    gathers = family_of(spec).gathers(inputs.round_number)
    if evaluation is None or not len(evaluation) or gathers:
        scores.update(dict.fromkeys(valid, UNJUDGED))
        return scores, record
    if not valid:
        return scores, record
    errors, most = rounded_errors(spec, inputs.start, evaluation), math.ldexp(HARM, ERROR_BITS)
    gains = {}
    for seat, model in valid.items():
        members = inputs.sums[seat]
        if members not in gains:
            gained = int((errors - rounded_errors(spec, model, evaluation)).sum())
            gains[members] = gained // len(evaluation)
    judged = tuple(GroupScore(members, gain) for members, gain in sorted(gains.items()))
    record = replace(record, groups=(*record.groups, judged))
    kept = [seat for seat in valid if gains[inputs.sums[seat]] >= -most]
    scores.update(dict.fromkeys(valid, NEUTRAL + 1))
    scores.update(_shared(_worths(record), kept))
    return scores, record


def _plausible(inputs: RoundInputs) -> dict[int, Model]:
    found = {}
    for seat, model in sorted(inputs.models.items()):
        members = inputs.sums.get(seat, ())
        if model is None or seat not in members:
            continue
        samples = [inputs.samples[one] for one in members]
        if plausible_group(inputs.spec, inputs.round_number, inputs.start, model, samples):
            found[seat] = model
    return found


def _uncontradicted(inputs: RoundInputs, found: Mapping[int, Model]) -> dict[int, Model]:
    """Without the groups of which several sums were opened. Two sums of one group have a member in
    common; those of different groups have none."""
    first: dict[tuple[int, ...], Model] = {}
    twice: set[int] = set()
    for seat, model in found.items():
        members = inputs.sums[seat]
        known = first.setdefault(members, model)
        if any(not np.array_equal(known[name], model[name]) for name in known):
            twice.update(members)
    for one, other in combinations(first, 2):
        if not set(one).isdisjoint(other):
            twice.update(one, other)
    return {seat: model for seat, model in found.items() if twice.isdisjoint(inputs.sums[seat])}


def _worths(record: ContributionRecord) -> dict[int, int]:
    """By member, over all judged rounds."""
    members = sorted({one for made in record.groups for group in made for one in group.members})
    numbers = {member: number for number, member in enumerate(members)}
    rounds = [
        [GroupScore(tuple(numbers[one] for one in group.members), group.gain) for group in made]
        for made in record.groups
    ]
    return dict(zip(members, worths(rounds, len(members)), strict=True))


def _shared(worth: Mapping[int, int], seats: list[int]) -> dict[int, int]:
    """Scores by each member's share of the worths above zero; NEUTRAL without any."""
    gains = {seat: max(0, worth[seat]) for seat in seats}
    total = sum(gains.values())
    if not total:
        return dict.fromkeys(seats, NEUTRAL)
    unit = EVEN_SHARE * len(seats)
    return {
        seat: NEUTRAL - min(NEUTRAL, (2 * unit * gain + total) // (2 * total))
        for seat, gain in gains.items()
    }
