"""The network: participants, their reputations, the contracts, nodes and stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fedpact.chain.node import Node
from fedpact.chain.records import Event
from fedpact.dashboard.views.blocks import Chart, ChartSeries, Fact, View
from fedpact.types.deployment import SecondDeployment

BUCKETS = 10


class ParticipantRow(View):
    """One participant in the list."""

    account: str
    organisation: int
    registered_at: int
    suspended: bool
    """Whether a suspension was announced and not taken back."""
    reputation: int | None
    """As a provider, 1/10,000; None: not read."""
    requests: int
    """Published or joined."""
    transaction: str


class NodeRow(View):
    """A node of the chain, or a content store."""

    name: str
    kind: str
    healthy: bool
    says: str


class NetworkView(View):
    """All that the network's page shows."""

    block: int
    time: int
    participants: tuple[ParticipantRow, ...]
    organisations: int
    requests: int
    events: int
    contracts: tuple[Fact, ...]
    nodes: tuple[NodeRow, ...]
    reputations: Chart


@dataclass(frozen=True)
class NetworkSources:
    """What the network's view is made from."""

    deployment: SecondDeployment
    head: tuple[int, int]
    registry: list[Event]
    """Of the registry, oldest first."""
    reputations: dict[str, int]
    requests_of: dict[str, int]
    requests: int
    events: int
    nodes: tuple[NodeRow, ...]


def network_view(of: NetworkSources) -> NetworkView:
    rows = _participants(of)
    return NetworkView(
        block=of.head[0],
        time=of.head[1],
        participants=rows,
        organisations=len({one.organisation for one in rows}),
        requests=of.requests,
        events=of.events,
        contracts=_contracts(of.deployment),
        nodes=of.nodes,
        reputations=_distribution(one.reputation for one in rows),
    )


def node_rows(nodes: Sequence[Node]) -> tuple[NodeRow, ...]:
    """How each node of the chain is, as this program has seen it."""
    best = max((node.health.known_head() for node in nodes), default=-1)
    return tuple(_node_row(node, best) for node in nodes)


def _node_row(node: Node, best: int) -> NodeRow:
    """`best`: the newest block of all nodes."""
    health = node.health
    missed = sum(health.refusals.values()) + health.unanswered
    if health.head < 0:
        says = "has not answered yet"
    elif health.failures:
        calls = "call" if health.failures == 1 else f"{health.failures} calls"
        says = f"did not answer the last {calls}, or refused; block {health.head} before"
    elif health.lags(best):
        says = f"block {health.head}, behind the others at {best}"
    else:
        says = f"block {health.head}, {health.latency * 1000:.0f} ms"
        says += f", {missed} calls refused or not answered since the start" if missed else ""
    # Not its tier: a node that answers again may still be paused for a failure before.
    well = health.head >= 0 and not health.failures and not health.lags(best)
    return NodeRow(name=node.shown, kind="chain", healthy=well, says=says)


def _participants(of: NetworkSources) -> tuple[ParticipantRow, ...]:
    suspended: set[str] = set()
    registered: dict[str, Event] = {}
    for event in of.registry:
        account = event.args.get("account", "")
        if event.name == "Registered":
            registered[account] = event
        elif event.name == "SuspensionAnnounced":
            suspended.add(account)
        elif event.name == "Restored":
            suspended.discard(account)
    return tuple(
        ParticipantRow(
            account=account,
            organisation=event.args["organisation"],
            registered_at=event.timestamp or 0,
            suspended=account in suspended,
            reputation=of.reputations.get(account),
            requests=of.requests_of.get(account, 0),
            transaction=event.tx_hash,
        )
        for account, event in registered.items()
    )


def _contracts(deployment: SecondDeployment) -> tuple[Fact, ...]:
    named = {**deployment.contracts, "DeploymentFactory": deployment.factory}
    found = [Fact(name=name, value=address, account=address) for name, address in named.items()]
    found.append(Fact(name="Chain", value=str(deployment.chain_id)))
    found.append(Fact(name="First block", value=str(deployment.block)))
    found.append(Fact(name="Shortest window", value=f"{deployment.min_window} s"))
    found += [Fact(name=name, value=one) for name, one in deployment.versions.items()]
    return tuple(found)


def _distribution(scores: Iterable[int | None]) -> Chart:
    known = [one for one in scores if one is not None]
    counts = [0] * BUCKETS
    for score in known:
        counts[min(BUCKETS - 1, score * BUCKETS // 10_000)] += 1
    step = 10_000 // BUCKETS
    middle = sorted(known)[len(known) // 2] if known else 0
    return Chart(
        kind="bar",
        title="Reputations",
        summary=f"{len(known)} participants; half have {middle} or more of 10,000.",
        x="reputation, of 10,000",
        y="participants",
        labels=tuple(f"{step * n}–{step * (n + 1)}" for n in range(BUCKETS)),  # noqa: RUF001
        series=(ChartSeries(name="participants", values=tuple(map(float, counts))),),
    )
