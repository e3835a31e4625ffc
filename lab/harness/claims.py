"""The papers' claims beside our results: how large the difference is, in how many seeds, and the
verdict."""

from collections.abc import Sequence

from lab.harness.configuration import Claim
from lab.harness.figures import signed, table, unit_of
from lab.harness.standalone import StandaloneClaim
from lab.harness.statistics import MeanEstimate, ahead_from, paired_difference
from lab.harness.studies import Study


def verdicts(claims: Sequence[tuple[Study, Claim]]) -> list[str]:
    """A table of the papers' claims, each with our difference and what it says."""
    rows = []
    for study, claim in claims:
        unit = unit_of(study, claim.metric)
        ours, base = (claim.partition, claim.method), (claim.partition, claim.base)
        paired = paired_difference(
            study.values(ours, claim.metric), study.values(base, claim.metric)
        )
        paper = claim.paper_difference
        if paired is None:
            continue
        rows.append(
            (
                claim.text,
                study.experiment.dataset,
                claim.partition,
                "-" if paper is None else f"{paper * unit.factor:+.2f} {unit.name}",
                signed(paired, unit),
                _verdict(paired),
                _ahead(study, claim),
                _seeds_ahead(study, claim),
                study.scale.value,
            )
        )
    head = (
        "claim",
        "data set",
        "partition",
        "paper's difference",
        "ours, same seeds [95 %]",
        "result at this scale",
        "ahead from round",
        "seeds ahead",
        "scale",
    )
    return table(head, rows)


def computed(claims: Sequence[StandaloneClaim]) -> list[str]:
    """A table of claims whose figures are computed once, without seeds."""
    rows = [
        (
            claim.text,
            claim.source,
            claim.setting,
            f"{claim.ours:,.4g} against {claim.base:,.4g} {claim.unit}",
            claim.verdict,
        )
        for claim in claims
    ]
    return table(("claim", "source", "setting", "ours", "result"), rows)


def _verdict(paired: MeanEstimate) -> str:
    if paired.low is None or paired.high is None:
        return "one seed: no conclusion"
    if paired.low > 0:
        return "observed"
    return "opposite observed" if paired.high < 0 else "not significant"


def _seeds_ahead(study: Study, claim: Claim) -> str:
    """In how many of the seeds that both have the method is above the base."""
    ours, base = (
        study.values((claim.partition, method), claim.metric)
        for method in (claim.method, claim.base)
    )
    both = ours.keys() & base.keys()
    return f"{sum(ours[seed] > base[seed] for seed in both)} of {len(both)}"


def _ahead(study: Study, claim: Claim) -> str:
    """The round from which the mean curve stays above the base's."""
    if not claim.curve:
        return "-"
    ours, base = (
        [sum(column) / len(column) for column in zip(*curves, strict=False)]
        for curves in (
            study.curves((claim.partition, claim.method), claim.curve),
            study.curves((claim.partition, claim.base), claim.curve),
        )
    )
    since = ahead_from(ours, base)
    return f"never in {len(ours)}" if since is None else f"{since} of {len(ours)}"
