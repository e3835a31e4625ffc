"""Gas of each operation and of whole requests: docs/gas.json and docs/gas.md.

    python -m benchmarks.gas            measure, print and write both
    python -m benchmarks.gas --check    write nothing; exit 1 if anything grew by more than 2 %

Measured on Anvil: `gasUsed` of receipts, with every provider in the committee, new accounts and
equal samples. A task does not include registration. One request is made first, so that no contract
pays for its first storage slot.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import gas_rounds
from benchmarks.gas_market import measure_market
from scripts.compile import COMPILER, SETTINGS

ROOT = Path(__file__).resolve().parent.parent

JSON = ROOT / "docs" / "gas.json"
PAGE = ROOT / "docs" / "gas.md"
SIZES = (5, 10, 16)
GROWTH = 1.02
KINDS = ("signed", "batched", "onchain")

Gas = dict[str, int]


def measure() -> dict[str, Any]:
    """Gas of operations (of a committee of five unless named otherwise), tasks, further rounds."""
    requests = gas_rounds.measure(SIZES)
    return {
        "operations": {**requests.pop("operations"), **measure_market()},
        **requests,
        "compiler": f"solc {COMPILER}, via-IR, optimiser runs {SETTINGS['optimizer']['runs']}",
    }


def grown(kept: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What costs over 2 % more than recorded, and what was added or removed; one message each."""
    complaints = []
    old = dict(_flat(kept))
    new = dict(_flat(now))
    complaints += [f"{name}: not in docs/gas.json" for name in sorted(new.keys() - old.keys())]
    complaints += [f"{name}: no longer measured" for name in sorted(old.keys() - new.keys())]
    complaints += [
        f"{name}: {new[name]:,} gas, before {old[name]:,}; run make gas if this is intended"
        for name in sorted(old.keys() & new.keys())
        if new[name] > old[name] * GROWTH
    ]
    return complaints


def _flat(result: dict[str, Any]) -> list[tuple[str, int]]:
    pairs = list(result["operations"].items())
    for part in ("task", "further_round"):
        for kind, spent in result[part].items():
            pairs += [(f"{part}, {kind}, N = {n}", gas) for n, gas in spent.items()]
    pairs += [(f"further_round, pool of {n}", gas) for n, gas in result["pool"].items()]
    return pairs + [(f"large_round of {n}", gas) for n, gas in result["large_round"].items()]


def page(result: dict[str, Any]) -> str:
    """docs/gas.md: our figures next to published ones of other systems."""

    def row(label: str, values: list[str]) -> str:
        return f"| {label} | " + " | ".join(values) + " |"

    def million(found: Gas) -> list[str]:
        return [f"{found[str(size)] / 1e6:.2f}M" for size in SIZES]

    lines = [
        "# Gas",
        "",
        f"Written by `make gas`; a test fails on growth above 2 %. {result['compiler']}.",
        "`gasUsed` of receipts on Anvil. All providers are in the committee, and their accounts",
        "are new to the contracts; registration is not counted.",
        "",
        "A task is: create, enrolment, start, one round, delivery, and the settlement, which pays",
        "all. A further round is one with another round after it. *Signed*: a round on which all",
        "agree, in one transaction. *Batched*: in four. *On chain*: each member joins and takes",
        "every step by itself ([the protocol](protocol.md)).",
        "",
        row("", [f"N = {size}" for size in SIZES]),
        row("---", ["---:"] * len(SIZES)),
        *(
            row(f"{label}, {shown}", million(result[part][kind]))
            for part, label in (("task", "task of one round"), ("further_round", "further round"))
            for kind, shown in zip(KINDS, ("signed", "batched", "on chain"), strict=True)
        ),
        row("HealChain, task, votes off chain", ["1.67M", "2.91M", ""]),
        row("BlockFLow, each further round", ["14.6M", "53.1M", ""]),
        "",
        "A further round of a cohort of ten, signed: "
        + " and ".join(f"{gas:,} from a pool of {n}" for n, gas in result["pool"].items())
        + ".",
        "",
        "A further large round, with a committee of sixteen that all sign, forced models apart: "
        + " and ".join(f"{gas:,} for {n} members" for n, gas in result["large_round"].items())
        + ".",
        "",
        "Steps of a round are those of a member by itself, in a committee of five. In the figures",
        "of the markets, pool and rounds are stand-ins of the tests.",
        "",
        "| operation | gas |",
        "| --- | ---: |",
        *(f"| {name} | {gas:,} |" for name, gas in result["operations"].items()),
        "| peer: HealChain, reveal of one vote alone | 122,000 to 156,000 |",
        "| peer: CryptoFL, register | 1,670,000 |",
        "",
        "## Where the gas goes",
        "",
        "Every transaction costs 21,000, writing a new storage slot 22,100, rewriting one 5,000.",
        "Rounds after the first write no new slot: models, votes and attestations go into running",
        "hashes, and calldata and events carry what the hashes prove",
        "([ADR 35](adr/0035-rounds-as-one-transaction.md)). A signed round has one signature of 64",
        "bytes a member in its calldata, a batched one three.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure gas on Anvil")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on growth")
    check = parser.parse_args().check
    result = measure()
    if check:
        complaints = grown(json.loads(JSON.read_text()), result)
        for complaint in complaints:
            print(f"gas: {complaint}", file=sys.stderr)
        return 1 if complaints else 0
    JSON.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(result))
    print(PAGE.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
