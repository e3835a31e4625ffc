"""`python -m tests.chaos`: episode after episode, for as long as asked; then what was found.

A run goes on where an earlier one with the same seed was stopped, and plays again what failed then.
Ctrl-C ends the present episode and all processes; the episodes that were finished are kept in
.cache/chaos/SEED.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.chaos.play import Result, play
from tests.chaos.schedule import Episode, episodes
from tests.support.processes import none_left_under

CACHE = Path(__file__).parents[2] / ".cache/chaos"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="begin no episode after these")
    parser.add_argument("--seed", type=int, default=1, help="of the schedule of faults")
    parser.add_argument("--only", type=int, help="play this episode alone, and keep nothing")
    parser.add_argument("--again", action="store_true", help="forget what an earlier run has done")
    parser.add_argument("--json", type=Path, help="where to write the result")
    given = parser.parse_args()
    folder = CACHE / str(given.seed)
    if given.only is not None:
        [episode] = [one for one in _first(given.seed, given.only) if one.number == given.only]
        result = run(episode, folder / "only")
        sys.exit(1 if result.failed else 0)
    if given.again:
        shutil.rmtree(folder, ignore_errors=True)
    results = _play_all(given.seed, given.minutes, folder)
    found = summary(given.seed, results)
    print(json.dumps(found, indent=2))
    if given.json is not None and results:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    for result in results:
        for line in [*result.verdict.problems, *result.ended]:
            print(f"episode {result.number}: {line}")
    sys.exit(1 if not results or any(result.failed for result in results) else 0)


def _first(seed: int, count: int) -> list[Episode]:
    schedule = episodes(seed)
    return [next(schedule) for _ in range(count)]


def _play_all(seed: int, minutes: float, folder: Path) -> list[Result]:
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "episodes.jsonl"
    lines = kept.read_text().splitlines() if kept.exists() else []
    results = {one.number: one for one in map(Result.decode, lines) if not one.failed}
    if results:
        print(f"{len(results)} episodes were played before ({kept}; --again forgets them)")
    left = 60 * minutes - sum(result.seconds for result in results.values())
    began = time.monotonic()
    for episode in episodes(seed):
        if time.monotonic() - began > left:
            break
        if episode.number in results:
            continue
        result = run(episode, folder / f"episode-{episode.number}")
        results[episode.number] = result
        with kept.open("a") as file:
            file.write(result.encode() + "\n")
    return [results[number] for number in sorted(results)]


def run(episode: Episode, folder: Path) -> Result:
    """Play one; its folder stays if it failed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()

    def report(line: str) -> None:
        print(f"{episode.number}:{time.monotonic() - began:6.1f} s  {line}", flush=True)

    report(
        f"{episode.store}, {episode.confirmations} confirmations, {len(episode.strikes)} faults"
        f"{', messages' if episode.exchanging else ''}{', poor nodes' if episode.poor_node else ''}"
    )
    with none_left_under(folder):
        result = play(episode, folder, report)
    report(f"{'FAILED' if result.failed else 'as it should'}, {result.kills} kills")
    for line in [*result.verdict.problems, *result.ended]:
        report(f"  {line}")
    if not result.failed:
        shutil.rmtree(folder)
    return result


def summary(seed: int, results: Iterable[Result]) -> dict[str, Any]:
    """What docs/results/chaos.json holds."""
    results = list(results)
    injected: Counter[str] = Counter()
    for result in results:
        injected.update(result.injected)
    recovery = [seconds for result in results for seconds in result.recovery]
    return {
        "seed": seed,
        "requests": sum(result.requests for result in results),
        "kills": sum(result.kills for result in results),
        "injected": dict(sorted(injected.items())),
        "lost": {
            "wei": sum(result.verdict.wei for result in results),
            "epsilon": sum(result.verdict.epsilon for result in results),
            "models": sum(result.verdict.models for result in results),
        },
        "ended_by_itself": sum(len(result.ended) for result in results),
        "honest_faults": sum(result.verdict.honest_faults for result in results),
        "recovery_seconds": {
            "median": round(statistics.median(recovery), 2) if recovery else None,
            "max": round(max(recovery), 2) if recovery else None,
        },
    }


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped; the same command goes on with the episode that was not finished")
        sys.exit(130)
