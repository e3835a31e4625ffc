"""Small specifications for the tests of data, learning and scoring."""

from fedpact.types.document import canonical_json
from fedpact.types.specification import Specification

BLANK_SLICE = {"cid": "", "sha256": "", "examples": 1}
WINDOWS = dict.fromkeys(("join", "start", "submit", "commit", "reveal", "propose", "deliver"), 60)
SOUND = {
    "mode": "sound",
    "epsilon": 4.0,
    "delta": 1e-5,
    "clipping_norm": 1.0,
    "noise_multiplier": 2.0,
}


def specification(**changes):
    """Two values, three labels, softmax regression, one step of rate 1, no privacy."""
    fields = {
        "version": 1,
        "title": "test",
        "category": "test",
        "labels": ["a", "b", "c"],
        "features": {"shape": [2]},
        "family": {"name": "softmax-regression", "parameters": {}},
        "local": {"steps": 1, "learning_rate": 1.0},
        "rounds": 1,
        "min_providers": 2,
        "max_providers": 4,
        "score": "contribution",
        "max_error": 5000,
        "privacy": {"mode": "none"},
        "initial_model": "",
        "windows": WINDOWS,
        **changes,
    }
    fields.setdefault("evaluation", [BLANK_SLICE] * fields["rounds"])
    return Specification.decode(canonical_json(fields))
