"""A trial run of a network's file in a process of its own, with bounds on memory and time.

`python -m fedpact.features.networks.trial FILE` prints the network's form as JSON, or the reason
for which it is refused, and exits with 1. Whatever a hostile file does to the process, only that
process ends.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError
from fedpact.features.networks.allowed import Form, ImageForm, TextForm, checked_form
from fedpact.features.networks.session import FrozenSession

MEMORY = 6 << 30
"""Bytes of address space; libraries alone reserve over one GiB."""
PROCESSOR_SECONDS = 120
"""For reading, checking and a few runs."""
WALL_SECONDS = 600
"""On a busy machine."""
SECONDS_AN_EXAMPLE = 2.0
"""Of the processor: more would keep 50,000 images or texts busy for a day."""


def tried(path: Path) -> Form:
    """The form of the network in a file; raises DataError, with the reason, if it is refused."""
    command = [sys.executable, "-m", "fedpact.features.networks.trial", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"network: its trial run took over {WALL_SECONDS} s") from error
    if done.returncode == 0:
        fields = json.loads(done.stdout.splitlines()[-1])
        return TextForm(**fields) if "tokens" in fields else ImageForm(**fields)
    if done.returncode == 1 and done.stdout:
        raise DataError(done.stdout.splitlines()[-1])
    raise DataError(
        f"network: its trial run ended with code {done.returncode}: it may need more than "
        f"{PROCESSOR_SECONDS} s or {MEMORY >> 30} GiB"
    )


def run_trial(content: bytes) -> Form:
    """The form of a network; raises DataError for one that is refused, or too slow."""
    form = checked_form(content)
    session = FrozenSession(content)
    images = isinstance(form, ImageForm)
    for example in _images(form) if isinstance(form, ImageForm) else _texts(form, session):
        began = time.process_time()
        row = session.run(*example)
        took = time.process_time() - began
        if took > SECONDS_AN_EXAMPLE:
            raise DataError(
                f"network: {took:.1f} s {'an image' if images else 'a text'}: at most "
                f"{SECONDS_AN_EXAMPLE:g}"
            )
        if row.shape != (form.width,):
            raise DataError(f"network: a row of shape {row.shape}, not ({form.width},)")
        if not np.array_equal(row, session.run(*example), equal_nan=True):
            raise DataError("network: two runs of one example differ")
    return form


Example = tuple[NDArray[np.generic], ...]


def _images(form: ImageForm) -> list[Example]:
    random = np.random.default_rng(0).random((2, 1, 3, form.side, form.side), dtype=np.float32)
    return [(one,) for one in (*random, *(np.full_like(random[0], v) for v in (np.nan, 1e30)))]


def _texts(form: TextForm, session: FrozenSession) -> list[Example]:
    """Short and long ones, and those of the first and of the last word alone."""
    known, random = session.vocabulary, np.random.default_rng(0)
    last = len(known) - 1
    texts = [random.integers(0, last, (1, n)) for n in (2, form.tokens // 2, form.tokens)]
    texts += [np.full((1, form.tokens), word, np.int64) for word in (0, last)]
    return [known.filled(one, form.tokens) for one in texts]


def main() -> int:
    """The exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    try:
        print(json.dumps(asdict(run_trial(Path(sys.argv[1]).read_bytes()))))
    except DataError as error:
        print(" ".join(str(error).split()))
        return 1
    except Exception as error:  # noqa: BLE001 - onnxruntime's own classes are not public
        print(f"network: it does not run ({' '.join(str(error).split()):.200})")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
