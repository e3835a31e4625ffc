"""A chain with what the dashboard shows: a request that daemons have finished, one under way that a
test takes on step by step, one that is open; and the dashboard as a process of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from benchmarks.replayed import emit, log_entry, replaying
from fedpact.chain.abi import POOL, SECOND, contract_abi
from fedpact.chain.bindings.events import Settled
from fedpact.chain.signed_messages import RoundRecord
from fedpact.child_process import ChildProcess
from fedpact.content.bn254 import public_key
from fedpact.dashboard.web.login import token_file
from fedpact.requester import preparing
from fedpact.requester.terms import MarketTerms
from fedpact.types.specification import Specification
from tests.support.chain_request import SECRET, ChainRequest, People, admit
from tests.support.summing import SECURE
from tests.support.world import World, running_world

PROVIDERS, ROUNDS = 3, 2
SERVING = re.compile(r"dashboard at (http://\S+)")
EVENTS_AT_ONCE = 2_000
"""So many fit into a block."""
PUMPS: dict[str, Any] = {
    "title": "Bearing faults in pumps from vibration",
    "category": "machines/vibration",
    "target": 700,
    "vote_band": 150,
    "usage_rules": "For maintenance in the requester's own plants. No resale, no publication.",
}
CLINICS: dict[str, Any] = {"title": "Wound classes in photographs", "category": "images/medicine"}


@dataclass
class DashboardWorld:
    """What runs; `finished`, `running` and `open` are requests."""

    world: World
    people: People
    finished: int
    running: ChainRequest
    open: ChainRequest
    url: str = ""

    @property
    def token(self) -> str:
        folder = self.world.network.folder / "state" / "dashboard"
        return token_file(folder).read_text()

    @property
    def settlement(self) -> str:
        """The transaction that settled the finished request."""
        return self.world.events(self.finished, Settled)[0].at.tx_hash

    def publish(self, people: People | None = None, **changes: Any) -> ChainRequest:
        """A request of another specification than the daemons serve; they decline it."""
        windows = dict.fromkeys(self.world.data.draft.fields["windows"], 1_000)
        draft = self.world.data.draft.changed(rounds=6, windows=windows, **changes)
        keys = self.world.requester_keys
        prepared = preparing.prepare(draft, self.world.data.evaluation, keys)
        self.world.put(prepared.contents)
        return self.created(prepared.specification, people)

    def created(
        self, spec: Specification, people: People | None = None, pool: int | None = None
    ) -> ChainRequest:
        """Publish a request of this specification, for a pool of `people` alone by default."""
        people = people or self.people
        self.world.put([spec.encode()])
        market = MarketTerms(max_pool=pool or len(people.members))
        terms = market.complete(spec, public_key(SECRET), 10**18)
        return ChainRequest.of(self.world.client, people, terms)

    def summed(self) -> ChainRequest:
        """A request for secure sums, under way: its smallest group needs a fourth member."""
        fourth = self.world.network.devnet.new_account()
        admit(self.world.client, self.world.registrar, fourth, 103)
        people = People(
            self.people.registrar, self.people.requester, [*self.people.members, fourth]
        )
        privacy = {**self.world.data.draft.fields["privacy"], **SECURE}
        local = {"steps": 1, "learning_rate": 2.0}
        asked = {"privacy": privacy, "local": local, "min_providers": 4, "max_providers": 4}
        return self.publish(people, title="Valve wear", **asked).running()

    def crowd(self, request: int, joined: int) -> None:
        """As many accounts join a request, by events in the pool's name."""
        abi = contract_abi(POOL, SECOND)
        topic = int(abi.event_topic("Joined"), 16)
        data = encode(["uint256", "uint256", "bytes32"], [7, 70, bytes(32)])
        entries = [log_entry((topic, request, 1 << 80 | one), data) for one in range(joined)]
        client = self.world.client
        with replaying(client, client.deployment.pool, 3):
            for first in range(0, joined, EVENTS_AT_ONCE):
                emit(client, client.deployment.pool, entries[first : first + EVENTS_AT_ONCE])
        # Whoever follows the chain reads the last blocks more than once.
        client.rpc.call("anvil_mine", "0x3")

    def post_round(self, request: ChainRequest, error: int, strange: int | None = None) -> None:
        """A whole round; the seat `strange` votes far from the others."""
        record = request.record(error=error)
        votes = list(record.votes)
        for voter in range(len(votes)):
            shift = 40 * voter + (700 if voter == strange else 0)
            votes[voter] = sum(
                (error + 90 * judged + shift) << 14 * judged
                for judged in range(len(votes))
                if judged != voter
            )
        request.post(
            RoundRecord(
                record.digests, tuple(votes), record.slice_key, record.digest, record.errors
            )
        )


@contextmanager
def dashboard_world(folder: Path, *, asking: bool = False) -> Iterator[DashboardWorld]:
    """Everything, with the dashboard serving; daemons are stopped once their request is over.

    asking: the daemons go on, and the dashboard asks them why they stay out.
    """
    with running_world(folder, providers=PROVIDERS, rounds=ROUNDS) as world:
        world.exchanging = asking
        for number in range(PROVIDERS):
            world.serve(number)
        world.network.wait_until_serving()
        finished = world.create()
        world.follow(finished, world.settled(finished))
        shown = _with_requests(world, finished)
        world.wait_until_all_say(f"request {shown.open.id}")
        if not asking:
            world.network.stop_daemons()
        dashboard = serve_dashboard(world, *(["--ask-providers", "all"] if asking else []))
        try:
            shown.url = dashboard.wait_for(SERVING, 60)[1]
            yield shown
        finally:
            dashboard.stop()


def _with_requests(world: World, finished: int) -> DashboardWorld:
    members = [world.network.devnet.new_account() for _ in range(3)]
    for number, keys in enumerate(members):
        admit(world.client, world.registrar, keys, 100 + number)
    people = People(world.registrar, world.requester_keys, members)
    nothing: Any = None
    shown = DashboardWorld(world, people, finished, nothing, nothing)
    shown.running = shown.publish(**PUMPS).running()
    for error, strange in ((3_100, None), (1_900, 2)):
        shown.post_round(shown.running, error, strange)
    shown.open = shown.publish(**CLINICS)
    return shown


def serve_dashboard(world: World, *options: str) -> ChildProcess:
    """With the first provider's own page, behind a token."""
    folder = world.network.folder
    own = ["--own", "--policy", str(folder / "policy-1.toml")]
    own += ["--log", str(folder / "provider-1.log")]
    command = [*dashboard_command(folder / "provider-1.toml"), *own, *options]
    return ChildProcess.start(command, folder / "dashboard.log")


def dashboard_command(config: Path) -> list[str]:
    """Serves at any free port, which its log says (SERVING)."""
    command = [sys.executable, "-m", "fedpact", "--config", str(config)]
    return [*command, "dashboard", "--listen", "127.0.0.1:0"]
