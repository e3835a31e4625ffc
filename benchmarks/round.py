"""Seconds and gas per round of the protocol itself: no privacy, three providers, digits.

`make bench-round` writes docs/results/round.json. Anvil mines each transaction at once and a block
every second; nobody waits for confirmations; daemons poll the chain every 25 ms and exchange signed
messages, so that a round on which all agree is one transaction. Training a softmax regression on
digits takes milliseconds, so nearly all of the time is the protocol's.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from fedpact.chain.bindings.events import RoundOpened, RoundPosted
from fedpact.chain.client import ChainClient
from fedpact.demo.data import prepare
from fedpact.demo.network import DemoNetwork, running_network
from fedpact.demo.options import DemoOptions
from fedpact.demo.progress import RoundClock
from fedpact.requester.request_view import look
from fedpact.requester.requester import Requester
from fedpact.types.requests import Status
from tests.support.processes import executed

PROVIDERS = 3
POLL_SECONDS = 0.025
PAYMENT_WEI = 10**18
SLOW = {"steps": 1, "learning_rate": 0.05}
"""A learning rate so low that no round reaches the target and ends the request early."""
POLICY = "accept_without_privacy = true\nmin_samples = 20\nsubmit_after = 0.0\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    console = Console()
    options = DemoOptions(
        providers=PROVIDERS, rounds=arguments.rounds, partition="iid", epsilon=None
    )
    with tempfile.TemporaryDirectory(prefix="fedpact-bench-") as name:
        folder = Path(name)
        data = prepare(options, folder)
        with running_network(folder, options.store) as (network, registrar):
            network.start_process = executed  # their memory is what a provider's daemon takes
            result = _measure(network, registrar, data, arguments.rounds, console)
    console.print_json(data=result)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def _measure(
    network: DemoNetwork, registrar, data, rounds: int, console: Console
) -> dict[str, object]:
    requester = network.account("requester")
    network.register(registrar, requester, 1)
    policy = network.folder / "policy.toml"
    policy.write_text(POLICY)
    for number in range(PROVIDERS):
        name = f"provider-{number + 1}"
        network.register(registrar, network.account(name), number + 2)
        files = (data.files[number], policy)
        network.start_daemon(name, *files, POLL_SECONDS, None, network.listens())
    network.wait_until_serving()
    idle = [_resident_mb(process.pid) for process in network.daemons]
    console.print(f"idle daemons: {', '.join(f'{mb:.0f} MB' for mb in idle)}")

    api = Requester(network.client, network.store, requester, network.folder / "state")
    request_id = api.create(data.draft.changed(local=SLOW), data.evaluation, PAYMENT_WEI)
    clock = RoundClock()
    end = api.follow(request_id, clock.tick, poll_interval=POLL_SECONDS)
    if end.status is not Status.SETTLED or len(clock.seconds) != rounds:
        raise SystemExit(f"the request ended as {end.status.name} after {len(clock.seconds)}")
    events = look(network.client, request_id).all_events()
    posted = sum(isinstance(event, RoundPosted) for event in events)
    cuts = statistics.quantiles(clock.seconds, n=10)
    return {
        "seconds_per_round": {
            "median": round(statistics.median(clock.seconds), 3),
            "p10": round(cuts[0], 3),
            "p90": round(cuts[-1], 3),
        },
        "gas_per_round": _gas_per_round(network.client, request_id),
        "idle_daemon_rss_mb": round(max(idle), 1),
        "rounds": rounds,
        "posted_rounds": posted,
        "load_average": round(os.getloadavg()[0], 1),
        "providers": PROVIDERS,
        "versions": {
            "python": platform.python_version(),
            "fedpact": version("fedpact"),
            "anvil": network.client.rpc.call("web3_clientVersion"),
        },
    }


def _gas_per_round(client: ChainClient, request_id: int) -> int:
    """Median over the rounds after the first (whose storage slots are new)."""
    by_round: dict[int, set[str]] = {}
    for event in look(client, request_id).all_events():
        if hasattr(event, "round") and not isinstance(event, RoundOpened):
            by_round.setdefault(event.round, set()).add(event.at.tx_hash)
    sums = [sum(client.gas_used(tx) for tx in txs) for n, txs in by_round.items() if n > 1]
    return int(statistics.median(sums))


def _resident_mb(pid: int) -> float:
    """Resident memory of a process (Linux: VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(line for line in lines if line.startswith("VmRSS:")).split()[1]
    return int(kilobytes) / 1024


if __name__ == "__main__":
    main()
