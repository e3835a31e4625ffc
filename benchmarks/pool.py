"""A pool of a hundred daemons on one machine, ten drawn a round: time, memory, gas, epsilon.

`make bench-pool` runs `fedpact demo --providers 100 --cohort 10 --rounds 20` on digits
under differential privacy and writes docs/results/pool.json. Each provider is a process with its
own data; training runs in processes of their own. Memory is the sum over all processes of the demo,
read from /proc: resident pages (RSS; those that are shared count in each process), and their
proportional share (PSS), which adds up to what the machine gives. With some 14 images each, and
noise for a member that might be drawn in all 20 rounds, the model learns next to nothing: `failed`
says so, and names the rounds that did not become final.
"""

import argparse
import json
import os
import platform
import statistics
import threading
import time
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from fedpact.demo.options import DemoOptions
from fedpact.demo.result import DemoResult
from fedpact.demo.run import run

PROVIDERS, COHORT, ROUNDS = 100, 10, 20
RSS_SECONDS, PSS_SECONDS = 1.0, 15.0
"""Between two looks; a process's proportional share takes the kernel ten milliseconds."""
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Memory(threading.Thread):
    """Watches this process and all that it started."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_rss_kb = self.peak_pss_kb = self.most_processes = 0
        self._done = threading.Event()

    def run(self) -> None:
        next_pss = 0.0
        while not self._done.wait(RSS_SECONDS):
            pids = _family(os.getpid())
            self.most_processes = max(self.most_processes, len(pids))
            self.peak_rss_kb = max(self.peak_rss_kb, sum(_rss_kb(pid) for pid in pids))
            if time.monotonic() > next_pss:
                self.peak_pss_kb = max(self.peak_pss_kb, sum(_pss_kb(pid) for pid in pids))
                next_pss = time.monotonic() + PSS_SECONDS

    def stop(self) -> None:
        self._done.set()
        self.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--providers", type=int, default=PROVIDERS)
    parser.add_argument("--cohort", type=int, default=COHORT)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    console = Console()
    options = DemoOptions(
        providers=arguments.providers,
        cohort=arguments.cohort,
        rounds=arguments.rounds,
        partition="iid",
    )
    memory, load = Memory(), os.getloadavg()[0]
    memory.start()
    try:
        result = run(options, console)
    finally:
        memory.stop()
    found = _figures(options, result, memory, load)
    console.print_json(data=found)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def _figures(
    options: DemoOptions, result: DemoResult, memory: Memory, load: float
) -> dict[str, object]:
    later = result.rounds[1:] or result.rounds  # the slots of the first are new
    by_draws = defaultdict(set)
    for one in result.providers:
        by_draws[one.drawn or 0].add(one.epsilon or 0.0)
    counts = Counter(one.drawn or 0 for one in result.providers)
    return {
        "providers": options.providers,
        "cohort": options.cohort,
        "rounds_asked": options.rounds,
        "rounds": len(result.rounds),
        "missed": list(result.missed),
        "seconds": round(result.seconds, 1),
        "seconds_per_round": round(statistics.median(one.seconds for one in result.rounds), 2),
        "seconds_by_round": [round(one.seconds, 1) for one in result.rounds],
        "peak_rss_mb": memory.peak_rss_kb // 1024,
        "peak_pss_mb": memory.peak_pss_kb // 1024,
        "processes": memory.most_processes,
        "gas_per_round": int(statistics.median(one.gas for one in later)),
        "gas": result.gas,
        "accuracy": result.final.quality,
        "best_single_accuracy": result.final.best_single,
        "failed": result.failures(),
        "delta": None if result.cost is None else result.cost.delta,
        "epsilon_by_rounds_drawn": {
            str(draws): sorted(epsilons) for draws, epsilons in sorted(by_draws.items())
        },
        "providers_by_rounds_drawn": {str(k): n for k, n in sorted(counts.items())},
        "load_before": round(load, 1),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), "fedpact": version("fedpact")},
    }


def _family(root: int) -> list[int]:
    """A process and all its descendants."""
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children[parent].append(int(path.parent.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children[found[-1]]
    return found


def _rss_kb(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB
    except OSError:
        return 0


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
