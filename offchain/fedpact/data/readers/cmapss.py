"""NASA's C-MAPSS turbofan engines, subset FD001 (Saxena et al. 2008): windows of sensor readings.

A line is one cycle of one engine: engine, cycle, 3 settings, 21 sensors. An engine of the training
file runs to its failure, one of the test file stops earlier; a third file says how many cycles it
had left. An engine is one unit of privacy.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.records import Records, read_bytes, refuse

TRAIN_PREFIX = "train_FD001"
COLUMNS = 26
FIRST_SENSOR = 5
"""Column of sensor 1, counted from 0."""
WINDOW = 30
"""Cycles of one example; the shortest engine of the test file has 31."""
CAP = 125.0
"""Remaining cycles beyond which wear cannot be told, by convention (Heimes 2008)."""
PUBLIC_ENGINES = tuple(range(1, 11))
"""Engines of the training file declared public: RANGES tells of them and of no other."""
RANGES = {
    2: (641.27, 644.53),
    3: (1571.04, 1613.62),
    4: (1386.43, 1438.51),
    7: (550.49, 555.66),
    8: (2387.92, 2388.50),
    9: (9021.73, 9239.76),
    11: (46.88, 48.38),
    12: (518.98, 523.26),
    13: (2387.88, 2388.56),
    14: (8102.82, 8289.63),
    15: (8.3279, 8.5639),
    17: (389.0, 399.0),
    20: (38.22, 39.43),
    21: (22.9396, 23.6005),
}
"""Least and greatest reading of each sensor over PUBLIC_ENGINES. The other seven sensors and the
settings are left out: FD001 has one operating condition, under which they stand still."""


def read_run_to_failure(path: Path, window: int = WINDOW, stride: int = 1) -> Records:
    """Windows each `stride` cycles, labelled with the cycles left after them, not capped.

    x float32 (n, window, sensors), a sensor's range at -1 to 1. Engines that ran for less than
    `window` cycles have none.
    """
    if window < 1 or stride < 1:
        refuse(path, f"windows of {window} cycles each {stride}: both are at least 1")
    pieces, left, engines = [], [], []
    for engine, readings in _engines(path).items():
        if len(readings) < window:
            continue
        # Counted from the failure, so that the window before it is there whatever the stride.
        ends = np.arange(len(readings), window - 1, -stride)[::-1]
        pieces.append(np.stack([readings[end - window : end] for end in ends]))
        left.extend((len(readings) - ends).tolist())
        engines.extend([_name("train", engine)] * len(ends))
    if not pieces:
        refuse(path, f"no engine ran for {window} cycles")
    return _records(np.concatenate(pieces), left, engines)


def read_last_windows(path: Path, remaining: Path, window: int = WINDOW) -> Records:
    """The official test: the last window of each engine, labelled by the file `remaining`."""
    engines = _engines(path)
    left = _numbers(remaining, columns=1)[:, 0]
    if len(left) != len(engines):
        refuse(remaining, f"{len(left)} lines for the {len(engines)} engines of {path.name}")
    for engine, readings in engines.items():
        if len(readings) < window:
            refuse(path, f"engine {engine} has {len(readings)} cycles, the window {window}")
    x = np.stack([readings[-window:] for readings in engines.values()])
    return _records(x, left.tolist(), [_name("test", engine) for engine in engines])


def public_groups() -> tuple[str, ...]:
    """Names of the units whose readings RANGES may tell."""
    return tuple(_name("train", engine) for engine in PUBLIC_ENGINES)


def _records(x: NDArray[np.float32], left: list[float], engines: list[str]) -> Records:
    labels = tuple(f"{cycles:g}" for cycles in left)
    return Records("cmapss", x, labels, groups=tuple(engines), grouped_units=True)


def _name(part: str, engine: int) -> str:
    """The two files number different engines alike."""
    return f"cmapss-fd001-{part}-{engine}"


def _engines(path: Path) -> dict[int, NDArray[np.float32]]:
    """Each engine's readings (cycles, sensors) in the file's order, ranges at -1 to 1."""
    rows = _numbers(path, COLUMNS)
    engines: dict[int, NDArray[np.float32]] = {}
    begins = [0, *(np.flatnonzero(np.diff(rows[:, 0])) + 1).tolist(), len(rows)]
    low, high = np.array(list(RANGES.values())).T
    columns = [FIRST_SENSOR - 1 + sensor for sensor in RANGES]
    for begin, end in pairwise(begins):
        engine = int(rows[begin, 0])
        if engine in engines:
            refuse(path, f"line {begin + 1}: engine {engine} comes a second time")
        expected = np.arange(1, end - begin + 1)
        wrong = np.flatnonzero(rows[begin:end, 1] != expected)
        if len(wrong):
            at = int(wrong[0])
            refuse(
                path,
                f"line {begin + at + 1}: engine {engine} is at cycle {rows[begin + at, 1]:g}, "
                f"not {expected[at]}",
            )
        readings = (2 * rows[begin:end, columns] - low - high) / (high - low)
        engines[engine] = readings.astype(np.float32)
    return engines


def _numbers(path: Path, columns: int) -> NDArray[np.float64]:
    """A file of numbers between spaces; raises DataError with the line that is none."""
    rows = []
    try:
        lines = read_bytes(path).decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        refuse(path, f"not a text of numbers ({error})", error)
    for number, line in enumerate(lines, start=1):
        cells = line.split()
        if len(cells) != columns:
            refuse(path, f"line {number} has {len(cells)} numbers, not {columns}")
        try:
            row = [float(cell) for cell in cells]
        except ValueError as error:
            refuse(path, f"line {number}: {error}", error)
        if not np.isfinite(row).all():
            refuse(path, f"line {number} holds a value that is not finite")
        rows.append(row)
    if not rows:
        refuse(path, "no lines")
    return np.array(rows)
