"""Measures or reads the inputs of the study; writes results as JSON and as a plot."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedpact.errors import InvalidInput
from lab.consensus_scale import lookups, parts, proof_of_work
from lab.consensus_scale.costs import Conditions, Cost, MeasuredParts
from lab.provider_network.source import DocumentSource

CHECK_BLOCKS, CHECK_BITS = 4_000, 8
"""Blocks mined to check the number of attempts against the difficulty."""


def measure(
    committee: int, members: Sequence[int], gas: Path, count: int, seed: int, source: DocumentSource
) -> MeasuredParts:
    """Measure everything but gas, which is read from docs/gas.json (`gas`).

    `count` lookups in `source`'s population are measured for each number of members. Raises
    InvalidInput for a wrong gas file, DataMissing if the source's collections are missing.
    """
    looked = {size: lookups.measure(size, committee, count, seed, source) for size in members}
    return MeasuredParts(
        parts.measure(committee, seed), looked, _gas(gas), proof_of_work.hash_rate()
    )


def to_json(
    measured: MeasuredParts, conditions: Conditions, costs: Sequence[Cost]
) -> dict[str, Any]:
    """Everything needed to check or repeat the figures."""
    checked = proof_of_work.attempts_check(CHECK_BLOCKS, CHECK_BITS)
    depth = proof_of_work.confirmations(conditions.attacker, conditions.risk)
    return {
        "measured": {
            "parts": asdict(measured.parts),
            "lookups": [asdict(one) for one in measured.lookups.values()],
            "gas": measured.gas["compiler"],
            "hashes_per_cpu_second": round(measured.hash_rate),
            "attempts_over_expected": round(checked, 3),
            "attempts_of_blocks": CHECK_BLOCKS,
            "attempts_at_bits": CHECK_BITS,
        },
        "assumed": {**asdict(conditions), "confirmations": depth},
        "costs": [one.to_json() for one in costs],
    }


def plot(costs: Sequence[Cost]) -> bytes:
    """SVG plot of messages, bytes, seconds and processor seconds by number of participants."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from lab.harness.plots import STYLE

    panels: dict[str, Callable[[Cost], float]] = {
        "messages": lambda one: sum(one.messages.values()),
        "bytes": lambda one: sum(one.bytes.values()),
        "seconds": lambda one: sum(one.seconds.values()),
        "CPU s for consensus": lambda one: one.work["consensus"],
    }
    lines: dict[str, list[Cost]] = {}
    for one in costs:
        whole = one.chain_nodes == one.members
        name = one.mode.value if whole else f"{one.mode.value}, {one.chain_nodes} keep the chain"
        lines.setdefault(name, []).append(one)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.0 * len(panels), 2.6), layout="constrained")
        for axes, (title, value) in zip(
            figure.subplots(1, len(panels)), panels.items(), strict=True
        ):
            for name, line in lines.items():
                axes.plot(
                    [one.members for one in line], [value(one) for one in line], "o-", label=name
                )
            axes.set_xscale("log")
            if title == "seconds":
                axes.set_ylim(bottom=0)
            else:
                axes.set_yscale("log")
            axes.set_title(title)
            axes.set_xlabel("participants")
        figure.axes[0].legend()
        kept = io.BytesIO()
        figure.savefig(kept, format="svg", metadata={"Date": None})
        return kept.getvalue()


def _gas(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror} (see --gas)") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict) or not {"operations", "task", "compiler"} <= found.keys():
        raise InvalidInput(f"{path} is not a result of `make gas`")
    return found
