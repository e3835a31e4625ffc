"""Runs the digits study and compares its figures with the targets."""

import argparse
import sys
from pathlib import Path

from lab.digits.measure import measure, write
from lab.digits.request import REPORTED_SEEDS


def main() -> int:
    """Run the experiment; 1 where a target is missed."""
    from rich.console import Console
    from rich.progress import Progress

    parser = argparse.ArgumentParser(prog="python -m lab.digits")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(REPORTED_SEEDS))
    parser.add_argument("--noise-seed", type=int, help="repeat a run; default: drawn afresh")
    parser.add_argument("--targets-only", action="store_true", help="no further kinds of poison")
    given = parser.parse_args()
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("digits", total=None)

        def tell(what: str) -> None:
            progress.update(task, advance=1, description=what)

        result = measure(given.seeds, given.noise_seed, further=not given.targets_only, on_run=tell)
    for name, target in result["targets"].items():
        figures = ", ".join(f"{key} {value}" for key, value in target.items() if key != "met")
        console.print(f"{'holds' if target['met'] else 'MISSED':6} {name} {figures}")
    if given.json is not None:
        write(result, given.json)
    return 0 if all(target["met"] for target in result["targets"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
