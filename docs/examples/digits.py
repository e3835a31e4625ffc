"""Write scikit-learn's handwritten digits to files for the walkthrough.

`python docs/examples/digits.py` writes provider-1.csv to provider-3.csv (each with different
digits), held-out.csv (the requester's evaluation set), queries.csv and answers.csv.
"""

import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

PROVIDER_LABELS = ((0, 1, 2, 3, 4, 5, 6), (3, 4, 5, 6, 7, 8, 9), (0, 1, 2, 6, 7, 8, 9))
HELD_OUT = 300
QUERIES = 100


def main() -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, y = digits.data[order].astype(int), digits.target[order]
    queries, rest = slice(0, QUERIES), slice(QUERIES, QUERIES + HELD_OUT)
    write(Path("queries.csv"), x[queries], None)
    write(Path("answers.csv"), x[queries], y[queries])
    write(Path("held-out.csv"), x[rest], y[rest])
    own_x, own_y = x[QUERIES + HELD_OUT :], y[QUERIES + HELD_OUT :]
    owner = np.zeros(len(own_y), dtype=int)
    for label in range(10):
        rows = np.flatnonzero(own_y == label)
        holders = [n for n, labels in enumerate(PROVIDER_LABELS, start=1) if label in labels]
        for holder, part in zip(holders, np.array_split(rows, len(holders)), strict=True):
            owner[part] = holder
    for number in range(1, len(PROVIDER_LABELS) + 1):
        write(Path(f"provider-{number}.csv"), own_x[owner == number], own_y[owner == number])


def write(path: Path, x: np.ndarray, y: np.ndarray | None) -> None:
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        names = [f"pixel-{column:02d}" for column in range(x.shape[1])]
        lines.writerow(names if y is None else [*names, "label"])
        for index, row in enumerate(x):
            lines.writerow(row if y is None else [*row, y[index]])


if __name__ == "__main__":
    main()
