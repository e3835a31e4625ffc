"""What the cases without results need, estimated from the cases that were timed."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.harness.configuration import Case
from lab.harness.results import Result

RECORDS = {"mnist": 60_000, "fashion-mnist": 60_000, "cifar10": 50_000, "shakespeare": 100_144}
"""Training records of the data sets that some scale trains on whole (docs/data.md)."""
GPU_HOURS = 24.0
"""Core hours from which on cases are left to a GPU (`--device cuda`)."""


def need(cases: Sequence[Case], results: Sequence[Result]) -> str:
    """What these cases of one experiment need, as a phrase: how long on a core, or a GPU.

    They are assumed to take as many seconds per pass over a training example as the results of the
    same experiment, or else of its kind and data set; per case where nothing is trained example by
    example. That is a lower bound ("over") if those trained another model, as scale `small` does.
    """
    timed = _timed(cases[0], results)
    if not timed:
        return f"no case of kind {cases[0].kind} on {cases[0].dataset} was ever timed"
    done = sum(
        _passes(one.case["settings"], one.case["dataset"], one.case["providers"]) for one in timed
    )
    passes = sum(_passes(case.settings, case.dataset, case.providers) for case in cases)
    hours = sum(one.seconds for one in timed) / 3600 / done * passes
    models = [one.case["settings"].get("family") for one in timed]
    bound = "about" if all(case.settings.get("family") in models for case in cases) else "over"
    if hours >= GPU_HOURS:
        return f"needs a GPU, or {bound} {hours:,.0f} hours of one core"
    if hours >= 2:
        return f"needs {bound} {hours:.0f} hours of one core"
    minutes = max(1, round(60 * hours))
    return f"needs {bound} {minutes} minute{'s' if minutes > 1 else ''} of one core"


def _timed(case: Case, results: Sequence[Result]) -> list[Result]:
    for fields in (("experiment",), ("kind", "dataset")):
        found = [
            one
            for one in results
            if all(one.case[field] == case.described()[field] for field in fields)
        ]
        if found:
            return found
    return []


def _passes(settings: Mapping[str, Any], dataset: str, providers: int) -> float:
    """How often a training example is used, in all rounds and by all providers; 1 if the settings
    do not say."""
    plan = settings.get("local", settings.get("plan"))
    rounds = settings.get("rounds") or (plan or {}).get("rounds")
    if "examples_each" in settings:
        examples = providers * settings["examples_each"]
    else:
        examples = (
            settings.get("train_examples") or settings.get("examples") or RECORDS.get(dataset)
        )
    if plan is None or rounds is None or examples is None:
        return 1.0
    taking_part = settings.get("sampled", providers) / providers
    repeats = plan.get("epochs") or plan.get("steps") or 1
    return float(examples * taking_part * repeats * rounds)
