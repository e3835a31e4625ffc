"""What the pages show, read from index, chain and store; each view is kept for a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fedpact.audit import audit
from fedpact.chain.client import ChainClient
from fedpact.chain.records import Event, Frame
from fedpact.content.store import ContentStore
from fedpact.dashboard.index.reading import Index, Transaction
from fedpact.dashboard.index.tables import Identity, IndexFile
from fedpact.dashboard.links import Links
from fedpact.dashboard.story import RequestStage
from fedpact.dashboard.views.audit import AuditView, audit_view
from fedpact.dashboard.views.market import MarketQuery, MarketView, market_view, summaries
from fedpact.dashboard.views.member import MemberView, member_view
from fedpact.dashboard.views.network import (
    NetworkSources,
    NetworkView,
    NodeRow,
    network_view,
    node_rows,
)
from fedpact.dashboard.views.participant import (
    ParticipantSources,
    ParticipantView,
    participant_view,
)
from fedpact.dashboard.views.request import RequestPage, Sources, request_view
from fedpact.dashboard.web.hub import Hub
from fedpact.dashboard.web.staying_out import StayingOut
from fedpact.dashboard.web.timed_cache import TimedCache, within
from fedpact.errors import FedpactError, InvalidInput, NodeUnreachable, Retryable, StateDamaged
from fedpact.types.requests import RoundFacts

KEPT_SECONDS = 1.0
"""Seconds for which a view is reused while nothing has changed: phases also end by time alone."""
CHAIN_KEPT_SECONDS = 15.0
"""Seconds for which reputations and the state of nodes are reused."""
AUDIT_KEPT_SECONDS = 600.0
"""Content that was missing may have come."""
AUDIT_WAIT_SECONDS = 2.0
"""Seconds for which a reader waits for an audit: each takes one of the server's forty threads."""
VIEW_WAIT_SECONDS = 30.0
MOST_KEPT = 500
"""Values of each kind."""
MOST_REPUTATIONS = 500
ViewT = TypeVar("ViewT")


class Site:
    """Threads may share one."""

    def __init__(
        self,
        client: ChainClient,
        stores: tuple[ContentStore, ContentStore],
        index: Path,
        hub: Hub,
        links: Links,
        confirmations: int,
        distrust: Callable[[Identity | None], None],
        staying_out: StayingOut | None = None,
    ) -> None:
        """`stores`: the same store twice, one for audits, one that is checked meanwhile; each
        serves one thread at a time. `confirmations`: as of the index. `distrust` is called with the
        index that is found damaged. `staying_out`: None, and no provider is asked."""
        self.client, self.hub, self.links = client, hub, links
        self._audited, self._checked = stores
        self.staying_out = staying_out
        self._audit_lock = threading.Lock()
        self._path, self._confirmations, self._distrust = index, confirmations, distrust
        self._views = TimedCache(MOST_KEPT, VIEW_WAIT_SECONDS)
        self._facts = TimedCache(MOST_KEPT, VIEW_WAIT_SECONDS)
        self._audits = TimedCache(MOST_KEPT, AUDIT_WAIT_SECONDS)

    @contextmanager
    def index(self) -> Iterator[Index]:
        """One consistent view of the index. Raises StorageUnavailable, StateDamaged."""
        with IndexFile(self._path) as file:
            try:
                with file.snapshot():
                    yield Index(file)
            except StateDamaged:
                self._distrust(file.identity)
                raise

    def kept(self, key: Any, make: Callable[[], ViewT]) -> ViewT:
        """What `make` gives, or gave a moment ago if nothing has changed since."""
        return self._views.get(key, self.hub.version, KEPT_SECONDS, make)

    # ------------------------------------------------------------------ views

    def market(self, query: MarketQuery, size: int) -> MarketView:
        def make() -> MarketView:
            with self.index() as index:
                return market_view(index.file, query, index.head()[1], size)

        return self.kept(("market", query, size), make)

    def request(self, number: int) -> RequestPage:
        """Raises UnknownRequest."""

        def make() -> RequestPage:
            with self.index() as index:
                story = index.story(number)
                described = index.described(story.created)
                transactions = index.transactions_for(number)
                frame = index.frame()
            facts = None
            if story.stage in (RequestStage.OPEN, RequestStage.RUNNING):
                facts = self._round(number, frame)
            declined = None
            if self.staying_out is not None and story.stage is RequestStage.OPEN:
                declined = self.staying_out.of(number)
            large = self.client.deployment.is_large
            return request_view(
                Sources(
                    *(story, described, facts, frame.timestamp, transactions, declined),
                    large=large,
                )
            )

        return self.kept(("request", number), make)

    def member(self, number: int, account: str) -> MemberView:
        """Raises UnknownRequest, InvalidInput."""
        return member_view(self.request(number), account)

    def audit(self, number: int) -> AuditView:
        """Recomputed when the request has new facts; one audit runs at a time.

        Raises UnknownRequest, NodeUnreachable, Retryable while another one takes long.
        """
        with self.index() as index:
            events = index.story(number).events
        # A reorganisation may leave as many events as before, but others.
        facts = hash((len(events), events[-1].at))
        return self._audits.get(number, facts, AUDIT_KEPT_SECONDS, lambda: self._audit(number))

    def _audit(self, number: int) -> AuditView:
        with within(self._audit_lock, AUDIT_WAIT_SECONDS, "another audit is under way"):
            report = audit(self.client, self._audited, number, confirmations=self._confirmations)
            return audit_view(report)

    def participant(self, account: str) -> ParticipantView:
        """Raises NodeUnreachable: who somebody is now stands on chain alone."""

        def make() -> ParticipantView:
            if not self._nodes_answer:
                raise NodeUnreachable("no node answers: who an account is now cannot be told")
            with self.index() as index:
                frame = index.frame()
                who = self.client.registry.participant(account, frame)
                as_requester = self.client.reputation.requester_reputation(account, frame)
                events = index.events_about(account)
                bought = {
                    int(one.args["request"])
                    for one in events
                    if one.name == "ResultBought" and one.args["buyer"] == account
                }
                mine = sorted({*index.requests_of(account), *bought})
                return participant_view(
                    ParticipantSources(
                        participant=who,
                        requester_reputation=as_requester,
                        events=events,
                        payments=index.payments_to(account),
                        transactions=index.transactions_of(account),
                        requests=summaries(index.file, mine),
                        now=frame.timestamp,
                    )
                )

        return self.kept(("participant", account), make)

    def network(self) -> NetworkView:
        def make() -> NetworkView:
            nodes = self._nodes()
            with self.index() as index:
                registry = index.events_named("Registered", "SuspensionAnnounced", "Restored")
                accounts = [one.args["account"] for one in registry if one.name == "Registered"]
                return network_view(
                    NetworkSources(
                        deployment=self.client.deployment,
                        head=index.head(),
                        registry=registry,
                        reputations=self._reputations(accounts[-MOST_REPUTATIONS:], index.frame()),
                        requests_of=_counts(index),
                        requests=len(index.request_ids()),
                        events=index.count_events(),
                        nodes=nodes,
                    )
                )

        return self.kept(("network",), make)

    def transaction(self, tx: str) -> tuple[Transaction | None, list[Event]]:
        """A transaction with its events; empty if it is none of these contracts."""
        with self.index() as index:
            return index.transaction(tx), index.events_in(tx)

    def content(self, cid: str) -> bytes | None:
        """A specification that the index has fetched."""
        with self.index() as index:
            rows = index.file.rows("SELECT body FROM contents WHERE cid = ?", (cid,))
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    @property
    def confirmations(self) -> int:
        """By how many blocks all that is shown is behind the newest one."""
        return self._confirmations

    def head(self) -> tuple[int, int]:
        """The last block in the index and its time."""
        last = self.hub.last
        if last is not None:
            return last.block, last.time
        with self.index() as index:
            return index.head()

    # ------------------------------------------------------------------ chain and store

    def _round(self, number: int, frame: Frame) -> RoundFacts | None:
        """The present round as of the index, or None if no node tells it now."""
        if not self._nodes_answer:
            return None
        try:
            return self.client.any_rounds.round_facts(number, frame)
        except Retryable:
            return None

    @property
    def _nodes_answer(self) -> bool:
        """Whether any node answered its last call. Whoever follows the chain goes on asking, so
        that no reader waits for a node that hangs."""
        return any(not node.health.failures for node in self.client.rpc.nodes)

    def _reputations(self, accounts: list[str], frame: Frame) -> dict[str, int]:
        ledger = self.client.reputation

        def make() -> dict[str, int]:
            calls = [ledger.function("reputation", account) for account in accounts]
            if not self._nodes_answer:
                return {}
            try:
                answers = self.client.read(calls, frame)
            except Retryable:
                return {}
            found = (int(ledger.decoded("reputation", one)) for one in answers)
            return dict(zip(accounts, found, strict=True))

        return self._facts.get("reputations", len(accounts), CHAIN_KEPT_SECONDS, make)

    def _nodes(self) -> tuple[NodeRow, ...]:
        def make() -> tuple[NodeRow, ...]:
            return (*node_rows(self.client.rpc.nodes), self._content_store())

        return self._facts.get("nodes", 0, CHAIN_KEPT_SECONDS, make)

    def _content_store(self) -> NodeRow:
        try:
            self._checked.check()  # Alone: this is a kept fact.
            return NodeRow(name="content store", kind="content", healthy=True, says="answers")
        except FedpactError as error:
            return NodeRow(name="content store", kind="content", healthy=False, says=str(error))


def checked_account(account: str) -> str:
    """An address with its checksum; InvalidInput for anything else."""
    from eth_utils.address import is_address, to_checksum_address

    if not is_address(account):
        raise InvalidInput(f"{account!r} is not an account: give 0x and 40 hex digits")
    return to_checksum_address(account)


def _counts(index: Index) -> dict[str, int]:
    rows = index.file.rows(
        "SELECT account, count(*) FROM (SELECT account, request FROM members"
        " UNION SELECT requester, id FROM requests) GROUP BY account"
    )
    return {str(account): int(count) for account, count in rows}
