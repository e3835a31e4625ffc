"""Kinds of experiments: what one case does. A kind is a module with a function `run`.

`run(case, checkpoint)` returns a mapping of

* `metrics`: numbers by name, each between 0 and 1;
* `curves`: lists of numbers by name, one per round (if the kind has rounds);
* `privacy`: `{"mode": "none|paper|sound", "epsilon": ..., "delta": ...}`; `none` by default;
* `details`: any other JSON values.

It raises DataMissing if data are missing: the case is then skipped with that reason. It calls
`checkpoint.reached` after each round and resumes from `checkpoint.state` if there is one.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from fedpact.errors import InvalidInput
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case

Run = Callable[[Case, Checkpoint], Mapping[str, Any]]

KINDS = {
    "federation": "lab.federation.cases:run",
    "personal": "lab.personal_models.cases:run",
    "robustness": "lab.robustness.cases:run",
    "privacy": "lab.fixed_features.cases:run",
    "request": "lab.fixed_features.request_cases:run",
    "contribution": "lab.contribution.cases:run",
    "texts": "lab.texts.cases:run",
    "provider-selection": "lab.provider_selection.cases:run",
}
"""Module and function of each kind."""


def runner_of(kind: str) -> Run:
    """The function of a kind: a name in KINDS, or `module:function`.

    Raises InvalidInput for anything else.
    """
    module, colon, function = KINDS.get(kind, kind).partition(":")
    if not colon:
        raise InvalidInput(
            f"kind {kind!r} is unknown: one of {', '.join(KINDS)}, or module:function"
        )
    try:
        run: Run = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"kind {kind!r} cannot be loaded: {error}") from error
    return run
