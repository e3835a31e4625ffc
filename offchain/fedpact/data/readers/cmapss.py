"""NASA's C-MAPSS turbofan engines, subset FD001 (Saxena et al. 2008): windows of sensor readings.

A line is one cycle of one engine: engine, cycle, 3 settings, 21 sensors. An engine of the training
file runs until it fails, one of the test file stops earlier; a third file gives the cycles that
were left. An engine is one privacy unit.
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
"""With more remaining cycles than this, wear is not visible, by convention (Heimes 2008)."""
PUBLIC_ENGINES = tuple(range(1, 11))
"""Engines of the training file declared public: RANGES reveals them and no others."""
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
"""Smallest and largest reading of each sensor over PUBLIC_ENGINES. The other seven sensors and the
settings are left out: under FD001's single operating condition they are constant."""


def read_run_to_failure(path: Path, window: int = WINDOW, stride: int = 1) -> Records:
    """Windows every `stride` cycles, labelled with the cycles left after them, not capped.

    x float32 (n, window, sensors), each sensor's range scaled to -1 to 1. Engines that ran for
    fewer than `window` cycles have none.
    """
    if window < 1 or stride < 1:
        refuse(path, f"windows of {window} cycles every {stride}: both must be at least 1")
    pieces, left, engines = [], [], []
    for engine, readings in _engines(path).items():
        if len(readings) < window:
            continue
        # Counted back from the failure: the last window is included for any stride.
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
            refuse(
                path, f"engine {engine} has {len(readings)} cycles, fewer than a window's {window}"
            )
    x = np.stack([readings[-window:] for readings in engines.values()])
    return _records(x, left.tolist(), [_name("test", engine) for engine in engines])


def public_groups() -> tuple[str, ...]:
    """Names of the units whose readings RANGES may reveal."""
    return tuple(_name("train", engine) for engine in PUBLIC_ENGINES)


def _records(x: NDArray[np.float32], left: list[float], engines: list[str]) -> Records:
    labels = tuple(f"{cycles:g}" for cycles in left)
    return Records("cmapss", x, labels, groups=tuple(engines), grouped_units=True)


def _name(part: str, engine: int) -> str:
    """The two files use the same numbers for different engines."""
    return f"cmapss-fd001-{part}-{engine}"


def _engines(path: Path) -> dict[int, NDArray[np.float32]]:
    """Each engine's readings (cycles, sensors) in the file's order, ranges scaled to -1 to 1."""
    rows = _numbers(path, COLUMNS)
    engines: dict[int, NDArray[np.float32]] = {}
    begins = [0, *(np.flatnonzero(np.diff(rows[:, 0])) + 1).tolist(), len(rows)]
    low, high = np.array(list(RANGES.values())).T
    columns = [FIRST_SENSOR - 1 + sensor for sensor in RANGES]
    for begin, end in pairwise(begins):
        engine = int(rows[begin, 0])
        if engine in engines:
            refuse(path, f"line {begin + 1}: engine {engine} appears a second time")
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
    """A file of numbers separated by spaces; raises DataError naming the line that is not."""
    rows = []
    try:
        lines = read_bytes(path).decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        refuse(path, f"not a text file of numbers ({error})", error)
    for number, line in enumerate(lines, start=1):
        cells = line.split()
        if len(cells) != columns:
            refuse(path, f"line {number} has {len(cells)} numbers, not {columns}")
        try:
            row = [float(cell) for cell in cells]
        except ValueError as error:
            refuse(path, f"line {number}: {error}", error)
        if not np.isfinite(row).all():
            refuse(path, f"line {number} has a value that is not finite")
        rows.append(row)
    if not rows:
        refuse(path, "the file is empty")
    return np.array(rows)
