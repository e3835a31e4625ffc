"""The dashboard over 1,000 requests and 100,000 events: docs/results/dashboard.json.

    python -m benchmarks.dashboard

To play so many requests would take hours, so their events are emitted by replay contracts at the
addresses of market, pool and rounds, which then get their code back. Node, log queries, index and
server work as ever. Times are wall-clock seconds of this machine.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from playwright.sync_api import Request

from benchmarks.replayed import emit, log_entry, replaying
from fedpact.chain import deployment_file as deployments
from fedpact.chain.abi import MARKET, POOL, ROUNDS, SECOND, ContractAbi, contract_abi
from fedpact.chain.bindings.structs import terms_struct
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.child_process import ChildProcess
from fedpact.consensus.proof_of_quality import judge
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.dashboard.index.follow import Change, Follower
from fedpact.dashboard.index.tables import IndexFile
from fedpact.dashboard.web.login import token_file
from fedpact.types.requests import Terms
from tests.support.browser import Watched, chromium
from tests.support.chain_request import People, deployed_contracts, make_terms
from tests.support.dashboard_world import SERVING, dashboard_command, serve_dashboard
from tests.support.specifications import SOUND, specification
from tests.support.world import running_world

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "docs" / "results" / "dashboard.json"
REQUESTS, ROUNDS_EACH, MEMBERS = 1_000, 8, 3
VIEWERS, SECONDS = 50, 20
LOADS = 5
SUBJECTS = ("pumps", "wounds", "invoices", "turbines", "retina", "claims", "soil", "voices")

TYPES = {
    "ModelsSubmitted": ["uint256", "uint256", "bytes32[]"],
    "SliceOpened": ["uint256", "bytes", "bytes32"],
    "VotesCommitted": ["uint256", "uint256", "bytes32[]"],
    "VotesRevealed": ["uint256", "uint256", "uint256[]"],
    "RoundTallied": ["uint256", "bool", "(uint256,uint256,uint256,uint256,uint256)", "bytes32"],
    "Attested": ["uint256", "uint256", "bytes32", "uint256"],
    "RoundFinalised": ["uint256", "uint256", "bytes32", "uint256", "uint256"],
    "Credited": ["uint256", "uint256", "uint256", "bytes32"],
    "RoundOpened": ["uint256", "bytes32", "bytes32", "uint256"],
}
"""Of the values beside the request, which is a topic."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Devnet.start(folder / "devnet") as devnet:
            client = _chain(devnet, folder)
            found = {
                "requests": REQUESTS,
                "rebuild": _rebuild(client, folder),
                **_served(client, folder),
            }
        found["daemon_beside"] = _daemon_beside(folder / "beside")
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


# ---------------------------------------------------------------------- the chain


def _chain(devnet: Devnet, folder: Path) -> ChainClient:
    registrar = devnet.new_account()
    deployment = deployed_contracts(devnet, registrar)
    deployments.save(deployment, folder / "deployment.json")
    client = ChainClient.connect(devnet.url, deployment)
    people = People.admitted(devnet, client, registrar, MEMBERS)
    store = EmbeddedStore(folder / "content")
    accounts = [keys.address for keys in people.members]
    terms = [_terms(store, number) for number in range(REQUESTS)]
    requests = range(1, REQUESTS + 1)
    with replaying(client, deployment.market, 4):
        requester = people.requester.address
        for number in requests:
            emit(
                client, deployment.market, [_created(client, number, requester, terms[number - 1])]
            )
    with replaying(client, deployment.pool, 3):
        for number in requests:
            emit(client, deployment.pool, [_joined(number, one) for one in accounts])
    with replaying(client, deployment.rounds, 3):
        for number in requests:
            emit(client, deployment.rounds, [_started(number, accounts[0])])
    with replaying(client, deployment.rounds, 2):
        for number in requests:
            emit(client, deployment.rounds, list(_rounds_of(number)))
    return client


def _terms(store: EmbeddedStore, number: int) -> Terms:
    subject = SUBJECTS[number % len(SUBJECTS)]
    spec = specification(
        title=f"Faults in {subject}, series {number}", category=f"data/{subject}", privacy=SOUND
    )
    digest = store.put(spec.encode()).digest
    return make_terms(specification=digest, max_rounds=ROUNDS_EACH + 1)


def _created(client: ChainClient, request: int, requester: str, terms: Terms) -> bytes:
    market = contract_abi(MARKET, SECOND)
    encoded = market.functions["createRequest"].inputs.encode([terms_struct(terms)])
    data = client.market.terms_hash(terms) + (64).to_bytes(32, "big") + encoded[32:]
    topics = (request, int(requester, 16), int.from_bytes(terms.query_key, "big"))
    return _log(market, "RequestCreated", topics, data)


def _joined(request: int, account: str) -> bytes:
    data = encode(["uint256", "uint256", "bytes32"], [100, 100, bytes(32)])
    return _log(contract_abi(POOL, SECOND), "Joined", (request, int(account, 16)), data)


def _started(request: int, account: str) -> bytes:
    data = encode(["uint256", *["bytes32"] * 4], [0, *[bytes(32)] * 4])
    return _log(contract_abi(ROUNDS, SECOND), "Started", (request, int(account, 16)), data)


def _rounds_of(request: int) -> Iterator[bytes]:
    """Log entries of rounds by direct calls, each member in transactions of its own."""
    everyone = (1 << MEMBERS) - 1
    for number in range(1, ROUNDS_EACH + 1):
        digest = keccak(text=f"{request} {number}")
        error = 4_000 // number
        words = {
            voter: sum((error + 50 * one) << 14 * one for one in range(MEMBERS) if one != voter)
            for voter in range(MEMBERS)
        }
        board, blind = judge(words, everyone, 9_000, 50)
        for seat in range(MEMBERS):
            yield _entry("ModelsSubmitted", request, number, 1 << seat, [digest])
        yield _entry("SliceOpened", request, number, bytes(80), bytes(32))
        yield _entry("VotesCommitted", request, number, everyone, [digest] * MEMBERS)
        for voter in range(MEMBERS):
            yield _entry("VotesRevealed", request, number, 1 << voter, [words[voter]])
        yield _entry("RoundTallied", request, number, blind, board.fields, bytes(32))
        yield _entry("Attested", request, number, everyone, digest, 0)
        yield _entry("RoundFinalised", request, number, 0, digest, error, everyone)
        yield _entry("Credited", request, 2 << 32 | 1 << 16, board.points, 1 << 16, digest)
        yield _entry("RoundOpened", request, number + 1, digest, bytes(32), everyone)


def _entry(name: str, request: int, *values: Any) -> bytes:
    """A log entry of the rounds contract whose only indexed argument is the request."""
    data = encode(TYPES[name], values)
    return _log(contract_abi(ROUNDS, SECOND), name, (request,), data)


def _log(abi: ContractAbi, name: str, topics: tuple[int, ...], data: bytes) -> bytes:
    return log_entry((int(abi.event_topic(name), 16), *topics), data)


# ---------------------------------------------------------------------- what is measured


def _rebuild(client: ChainClient, folder: Path) -> dict[str, float]:
    """Seconds from an empty file to all events, and on to the cost of every transaction."""
    path = folder / "state" / "dashboard" / client.deployment.fingerprint.hex()[:16]
    store = EmbeddedStore(folder / "content")
    with (
        IndexFile(path / "index.sqlite", writes=True) as file,
        Follower(client, store, file) as follower,
    ):
        began, cpu = time.monotonic(), time.process_time()
        told: list[Change] = []
        follower.step(told.append)
        events, events_cpu = time.monotonic() - began, time.process_time() - cpu
        while any(one.requests or one.others for one in told):
            told.clear()
            follower.step(told.append)
        everything = time.monotonic() - began
        [(count,)] = file.rows("SELECT count(*) FROM events")
        [(size,)] = file.rows(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        )
    return {
        "events": count,
        "events_seconds": round(events, 1),
        "events_cpu_seconds": round(events_cpu, 1),
        "all_seconds": round(everything, 1),
        "index_bytes": size,
    }


def _served(client: ChainClient, folder: Path) -> dict[str, Any]:
    config = folder / "fedpact.toml"
    config.write_text(
        f'endpoint = "{client.rpc.nodes[0].shown}"\ndeployment = "deployment.json"\n'
        'store = "content"\nstate = "state"\n'
    )
    server = ChildProcess.start(dashboard_command(config), folder / "dashboard.log")
    try:
        url = server.wait_for(SERVING, 120)[1]
        return {
            "first_page": _page(url, "/"),
            "request_page": _page(url, f"/requests/{REQUESTS}"),
            **_viewers(client, url, server.process.pid),
        }
    finally:
        server.stop()


def _page(url: str, path: str) -> dict[str, Any]:
    """A page in a browser with an empty cache: seconds until it is loaded, and bytes."""
    with httpx.Client(trust_env=False) as http:
        times = []
        for _ in range(LOADS):
            time.sleep(1.2)  # longer than the site keeps a view
            began = time.monotonic()
            http.get(url + path)
            times.append(time.monotonic() - began)
    with chromium() as browser:
        watched = Watched(browser.new_context(), url)
        sizes: list[int] = []
        watched.page.on("requestfinished", lambda one: sizes.append(_size(one)))
        page = watched.open(path)
        loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
    return {
        "html_seconds_median": round(statistics.median(times), 3),
        "loaded_seconds": round(loaded, 2),
        "bytes": sum(sizes),
    }


def _size(request: Request) -> int:
    sizes = request.sizes()
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


def _viewers(client: ChainClient, url: str, pid: int) -> dict[str, Any]:
    """CPU of the server with nobody and with VIEWERS looking, while a request moves each second.

    A viewer does what the page's script does: it holds the stream of events, and takes a fresh copy
    of the page after each change.
    """
    alone, _ = _moving(client, pid)
    late: list[float] = []
    viewers = [Viewer(url, f"/requests/{REQUESTS}") for _ in range(VIEWERS)]
    for one in viewers:
        one.start()
    time.sleep(3)
    together, moments = _moving(client, pid)
    for one in viewers:
        one.stopped.set()
    for one in viewers:
        one.join(30)
        late += _lateness(one.seen, moments)
    return {
        "viewers": VIEWERS,
        "server_cpu_share_alone": round(alone, 3),
        "server_cpu_share_with_viewers": round(together, 3),
        "seconds_from_block_to_viewer": {
            "median": round(statistics.median(late), 2),
            "most": round(max(late), 2),
        },
        "pages_taken": sum(one.pages for one in viewers),
    }


def _lateness(seen: dict[int, float], moments: dict[int, float]) -> list[float]:
    """Seconds from each block to the copy of the page that shows it."""
    found, before = [], 0
    for block, at in sorted(seen.items()):
        found += [at - mined for number, mined in moments.items() if before < number <= block]
        before = block
    return found


def _moving(client: ChainClient, pid: int) -> tuple[float, dict[int, float]]:
    """Share of a core that the server took, and when each block was mined."""
    before, began = _cpu(pid), time.monotonic()
    moments: dict[int, float] = {}
    for number in range(SECONDS):
        with replaying(client, client.deployment.rounds, 2):
            entry = _entry("SliceOpened", REQUESTS, number, bytes(80), bytes(32))
            emit(client, client.deployment.rounds, [entry])
        moments[int(client.rpc.call("eth_blockNumber"), 16)] = time.monotonic()
        time.sleep(1)
    share = (_cpu(pid) - before) / (time.monotonic() - began)
    time.sleep(3)
    return share, moments


def _daemon_beside(folder: Path) -> dict[str, float]:
    """Share of a core that a provider's daemon with nothing to do takes, with a dashboard beside it
    that shows its state: with nobody, and with VIEWERS that load the provider's page once a second.
    """
    folder.mkdir()
    with running_world(folder, providers=2, rounds=1) as world:
        world.serve(0)
        world.network.wait_until_serving()
        server = serve_dashboard(world)
        try:
            url = server.wait_for(SERVING, 120)[1]
            form = {"token": token_file(world.network.folder / "state/dashboard").read_text()}
            pid, stopped = world.process(0).pid, threading.Event()
            alone = _share(pid)
            with ThreadPoolExecutor(VIEWERS) as pool:
                looking = [pool.submit(_look, url, form, stopped) for _ in range(VIEWERS)]
                try:
                    time.sleep(3)
                    together = _share(pid)
                finally:
                    stopped.set()
                pages = sum(one.result() for one in looking)
        finally:
            server.stop()
    return {
        "daemon_cpu_share_alone": alone,
        "daemon_cpu_share_with_viewers": together,
        "pages_taken": pages,
    }


def _look(url: str, form: dict[str, str], stopped: threading.Event) -> int:
    """Log in, and load the provider's page once a second; how many were loaded."""
    pages = 0
    with httpx.Client(trust_env=False, timeout=60, follow_redirects=True) as http:
        http.post(f"{url}/provider/login", data=form).raise_for_status()
        while not stopped.wait(1):
            http.get(f"{url}/provider").raise_for_status()
            pages += 1
    return pages


def _share(pid: int) -> float:
    before, began = _cpu(pid), time.monotonic()
    time.sleep(SECONDS)
    return round((_cpu(pid) - before) / (time.monotonic() - began), 3)


class Viewer(threading.Thread):
    """One that looks at a page."""

    def __init__(self, url: str, path: str) -> None:
        super().__init__(daemon=True)
        self._url, self._path = url, path
        self.stopped = threading.Event()
        self.seen: dict[int, float] = {}
        self.pages = 0

    def run(self) -> None:
        live = f"{self._url}/api/live"
        with (
            httpx.Client(trust_env=False, timeout=60) as http,
            http.stream("GET", live) as stream,
        ):
            for line in stream.iter_lines():
                if self.stopped.is_set():
                    return
                if line.startswith("data: ") and json.loads(line[6:])["requests"]:
                    answer = http.get(self._url + self._path)
                    if answer.status_code != httpx.codes.OK:  # asked while the replay stood there
                        continue
                    self.pages += 1
                    self.seen[json.loads(line[6:])["block"]] = time.monotonic()


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
