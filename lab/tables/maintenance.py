"""A synthetic maintenance table: what a milling machine's controller exports, from three plants.

After the description of the AI4I 2020 set (Matzka 2020, "Explainable Artificial Intelligence for
Predictive Maintenance Applications", section II): temperatures are random walks, a tool wears by
job, and a machine fails of heat dissipation, power, overstrain, tool wear, or at random. Ours
differs: plants have their own climate and product mix, speed follows torque by a power law, wear is
missing at times, and two columns tell nothing. About 5 % of the rows are failures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.types.columns import ColumnSchema

COLUMNS = (
    ColumnSchema(name="quality", type="category", values=("L", "M", "H")),
    ColumnSchema(name="air", range=(293.0, 307.0), measure="K"),
    ColumnSchema(name="process", range=(303.0, 317.0), measure="K"),
    ColumnSchema(name="speed", type="integer", range=(1100.0, 2900.0), measure="rpm"),
    ColumnSchema(name="torque", range=(0.0, 80.0), measure="Nm"),
    ColumnSchema(
        name="wear", type="integer", range=(0.0, 260.0), measure="min", missing="indicator"
    ),
    ColumnSchema(name="serviced", type="boolean"),
    ColumnSchema(name="shift", type="category", values=("early", "late", "night")),
)
PLANTS = 3
_MIX = ((0.5, 0.3, 0.2), (0.7, 0.2, 0.1), (0.3, 0.4, 0.3))
"""Shares of the qualities L, M, H by plant."""
_CLIMATE = (299.0, 300.0, 301.0)
"""Mean air temperature by plant, K."""


@dataclass(frozen=True)
class Rows:
    values: tuple[NDArray[np.float64], ...]
    """By column, as `data.readers.encoding.values_of` gives them; NaN: no value."""
    failed: NDArray[np.int64]
    torque: NDArray[np.float64]
    plant: NDArray[np.int64]


def rows(each: int, seed: int) -> Rows:
    """`each` rows of each of the three plants."""
    parts = [_plant(plant, each, np.random.default_rng([seed, plant])) for plant in range(PLANTS)]
    columns = tuple(np.concatenate(one) for one in zip(*(part[0] for part in parts), strict=True))
    failed = np.concatenate([part[1] for part in parts])
    plants = np.repeat(np.arange(PLANTS), each)
    return Rows(columns, failed, columns[4], plants)


def _plant(
    plant: int, count: int, random: np.random.Generator
) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    quality = random.choice(3, count, p=_MIX[plant])
    air = _CLIMATE[plant] + _walk(count, 2.0, random)
    process = air + 10.0 + _walk(count, 1.0, random)
    torque = np.clip(random.normal(40.0, 10.0, count), 3.8, 78.0)
    speed = np.rint(1450.0 * (40.0 / torque) ** 0.29 + random.normal(0.0, 45.0, count))
    wear = np.rint(random.uniform(0.0, 253.0, count))
    power = torque * speed * 2 * np.pi / 60
    strain = np.array([12_000.0, 13_000.0, 14_000.0])[quality]
    failed = (
        ((process - air < 8.6) & (speed < 1370.0))
        | (power < 3500.0)
        | (power > 9000.0)
        | (wear * torque > strain)
        | ((wear > 200.0) & (wear < 240.0) & (random.random(count) < 0.03))
        | (random.random(count) < 0.001)
    )
    serviced = (random.random(count) < 0.2).astype(np.float64)
    shift = random.integers(0, 3, count).astype(np.float64)
    known = np.where(random.random(count) < 0.02, np.nan, wear)
    values = [quality.astype(np.float64), air, process, speed, torque, known, serviced, shift]
    return values, failed.astype(np.int64)


def _walk(count: int, spread: float, random: np.random.Generator) -> NDArray[np.float64]:
    """A random walk, scaled to mean 0 and the given standard deviation, in random order."""
    steps = np.cumsum(random.normal(size=count))
    return random.permutation((steps - steps.mean()) / steps.std() * spread)
