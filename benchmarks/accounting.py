"""What accountants cost: noise under the Gaussian DP filter and the Renyi filter, replacement.

`python -m benchmarks.accounting` prints the table of docs/privacy.md, at delta 1e-5.
"""

import math

import numpy as np

from fedpact.privacy.accounting import (
    ORDERS,
    full_batch_precision,
    gaussian_cost,
    rdp_epsilons,
)

DELTA = 1e-5
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0)


def row(epsilon: float) -> tuple[float, float, float, float]:
    """Noise multipliers by the Renyi and the Gaussian filter, of a lifetime of one full-batch step;
    the share of noise saved; epsilon under replacement over epsilon."""
    # The Renyi filter allows rho * order at its best order.
    renyi = float(np.max((epsilon - rdp_epsilons(np.zeros(len(ORDERS)), DELTA)) / np.array(ORDERS)))
    before, now = 1 / math.sqrt(2 * renyi), 1 / math.sqrt(full_batch_precision(epsilon, DELTA))
    found = gaussian_cost(1 / now, DELTA)
    return before, now, 1 - now / before, found.epsilon_replacement / found.epsilon


if __name__ == "__main__":
    print("| ε | Rényi filter | Gaussian DP filter | less noise | replacement |")
    print("|---|---|---|---|---|")
    for each in EPSILONS:
        before, now, saved, replacement = row(each)
        print(f"| {each:g} | {before:.3f} | {now:.3f} | {saved:.1%} | {replacement:.2f} |")
