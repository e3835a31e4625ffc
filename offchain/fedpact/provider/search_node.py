"""The provider's node in the search network, behind the endpoint.

Its own thread keeps the node's view up to date: it reads changed profiles from the chain, joins the
network once the provider has published a profile, and refreshes from its neighbours. The daemon's
cycle never waits for it. Failures are logged and retried.
"""

import logging
import queue
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from random import Random

from fedpact.chain.client import ChainClient
from fedpact.content.store import ContentStore
from fedpact.errors import ContentMissing, FedpactError, RetrievalError, SearchRefused
from fedpact.provider.endpoint.application import Endpoint, ExchangeBackend
from fedpact.provider.endpoint.limits import EndpointLimits
from fedpact.provider.endpoint.server import EndpointServer
from fedpact.retrieval import lookup
from fedpact.retrieval.answering import answer
from fedpact.retrieval.codebook import standard
from fedpact.retrieval.directory import ProfileDirectory
from fedpact.retrieval.flooding import FloodLimits, flood
from fedpact.retrieval.http import HttpTransport, OwnAddress
from fedpact.retrieval.ids import node_id
from fedpact.retrieval.joining import join
from fedpact.retrieval.membership import Membership
from fedpact.retrieval.messages import (
    Acknowledged,
    Announce,
    Contact,
    Flood,
    Lookup,
    Record,
    decode_request,
    encode,
)
from fedpact.retrieval.profiles.document import LONGEST_DOCUMENT, Profile
from fedpact.retrieval.routing_table import RetrievalTable
from fedpact.retrieval.search_api import API_VERSION, About, Match, SearchAnswer, SearchBody
from fedpact.retrieval.signature import Signature
from fedpact.retrieval.signing import SearchGuard
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)

REFRESH_SECONDS = 60.0
"""Longest pause between two refreshes of a node's community."""
CHAIN_SECONDS = 180.0
"""Longest pause between two looks at the chain for profiles: each takes four calls. What a message
names and is not known yet is looked for at once."""
FAST_REFRESH_SECONDS = 1.0
"""The pause while a node with a profile has not joined, or while its community changes."""
STOP_SECONDS = 10.0
MAX_NEWCOMERS = 10_000
"""Announcements queued between two steps."""
DRAWN_PER_REFRESH = 1
"""Providers drawn at random from the chain at each refresh."""
FLOODS_AT_ONCE = 2
"""Fewer than the endpoint's workers for searches: a flood asks hundreds of addresses, and lookups
go on meanwhile."""
ENTRY_NODES = 16
"""Newest profiles on chain, whose daemons are asked when joining."""


class SearchNode:
    """Answers the endpoint's requests for one account. Thread-safe.

    Only the node's own thread changes what it knows of the network. The endpoint's threads read the
    latest table and put announced nodes into a queue.
    """

    def __init__(
        self,
        client: ChainClient,
        store: ContentStore,
        account: str,
        own: OwnAddress,
        *,
        confirmations: int = 0,
        chain_seconds: float = CHAIN_SECONDS,
    ) -> None:
        """`store`: for this node only, since a store is not thread-safe; closed with the node.
        `chain_seconds`: longest pause between two looks at the chain."""
        self._client, self._store, self._account = client, store, account
        self._node = bytes.fromhex(account.removeprefix("0x"))
        self._directory = ProfileDirectory(client, confirmations)
        self._transport = HttpTransport(own)
        self._flood_transport = HttpTransport(own)
        self._floods = threading.BoundedSemaphore(FLOODS_AT_ONCE)
        self._guard = SearchGuard(client.deployment, self._directory.active, time.time)
        self._guard_lock = threading.Lock()
        self._chain_seconds = chain_seconds
        self._membership: Membership | None = None
        self._table: RetrievalTable | None = None
        self._joined = False
        self._pause = FAST_REFRESH_SECONDS
        self._newcomers: queue.Queue[Record | None] = queue.Queue(MAX_NEWCOMERS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retrieval", daemon=True)

    # ------------------------------------------------------------------ start, refresh, stop

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        with suppress(queue.Full):
            self._newcomers.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self._transport.close()
        self._flood_transport.close()
        self._store.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except FedpactError as error:
                log.warning("retrieval: %s; will retry", error)
            except Exception:
                # The thread must continue: a node that stops refreshing is dropped by the others.
                log.exception("retrieval: refresh failed; will retry")
            self._wait(self._pause)

    def _wait(self, seconds: float) -> None:
        """Wait for the next step, and add announced nodes meanwhile."""
        end = time.monotonic() + seconds
        while not self._stop.is_set() and (left := end - time.monotonic()) > 0:
            try:
                newcomer = self._newcomers.get(timeout=left)
            except queue.Empty:
                return
            if newcomer is not None and self._membership is not None:
                self._membership.meet(newcomer)
                self._table = self._membership.table()

    def step(self) -> None:
        """Read the chain, then join the network, or refresh if the node has joined."""
        self._directory.refresh(self._chain_seconds if self._joined else 0.0)
        record = self._own_record()
        if record is None:
            self._membership, self._table, self._joined = None, None, False
            self._pause = min(4 * self._pause, self._chain_seconds)
            return
        if self._membership is None or self._table is None or self._table.record != record:
            self._membership = Membership(
                record,
                standard(),
                lambda: self._directory.nodes,
                self._directory.verify,
                endpoint_of,
            )
            # Until it has joined it answers as a community of one: the first node is asked too.
            self._table, self._joined = self._membership.table(), False
        members = self._table.community.records
        if self._joined:
            random = Random(secrets.randbits(64))
            # Nodes that start together can form islands that do not know of each other. Nodes
            # drawn at random from the chain connect them.
            for other in self._fetched_all(self._directory.drawn(DRAWN_PER_REFRESH, random)):
                self._membership.meet(other)
            self._membership.refresh(self._transport, random)
        else:
            self._join(self._membership, record)
        self._table = self._membership.table()
        # Back off while nothing changes.
        quiet = self._joined and len(self._table.community.records) == len(members)
        self._pause = min(2 * self._pause, REFRESH_SECONDS) if quiet else FAST_REFRESH_SECONDS

    def _join(self, membership: Membership, record: Record) -> None:
        entries = [
            Contact(other.node, node_id(other, standard()), endpoint_of(other))
            for other in self._fetched_all(self._directory.newest(ENTRY_NODES))
            if other.node != self._node
        ]
        if entries:
            found = join(
                record,
                membership.id,
                entries,
                self._transport,
                self._directory.verify,
                self._directory.nodes,
                endpoint_of,
            )
            membership.take(found)
            log.info("retrieval: joined the network in %d messages", found.messages)
        # If no other profile is on chain, this node is the first.
        self._joined = bool(entries) or self._directory.nodes <= 1

    def _own_record(self) -> Record | None:
        known = self._directory.entry(self._node)
        if known is None:
            return None
        if self._table is not None and self._table.record.digest == known.digest:
            return self._table.record
        try:
            return self._fetched(self._node, known.digest)
        except RetrievalError:
            # `fedpact register` puts a document with categories on chain, which is no profile.
            log.debug("retrieval: the document on chain is not a profile")
            return None

    def _fetched_all(self, nodes: Sequence[bytes]) -> list[Record]:
        found = []
        for node in nodes:
            entry = self._directory.entry(node)
            if entry is not None:
                try:
                    found.append(self._fetched(node, entry.digest))
                except (ContentMissing, RetrievalError) as error:
                    log.info("retrieval: profile of 0x%s is unavailable: %s", node.hex(), error)
        return found

    def _fetched(self, node: bytes, digest: bytes) -> Record:
        cid = Cid.of_digest(digest, LONGEST_DOCUMENT)
        return Record.of_document(node, self._store.get(cid, LONGEST_DOCUMENT))

    # ------------------------------------------------------------------ requests

    def about(self) -> About:
        table = self._table
        return About(
            node=self._account,
            deployment=self._client.deployment.fingerprint.hex(),
            version=API_VERSION,
            members=0 if table is None else len(table.community.records),
        )

    def profile(self) -> bytes | None:
        table = self._table
        return None if table is None else table.record.document

    def message(self, content: bytes) -> bytes:
        """The reply to another daemon's message; a search in it must be signed."""
        request = decode_request(content)
        table = self._known_table()
        if isinstance(request, Announce):
            return encode(Acknowledged(table.record, self._announced(request.record)))
        if isinstance(request, Lookup | Flood):
            self._admit(request.envelope, request.query, direct=False)
        return encode(answer(table, request))

    def _announced(self, record: Record) -> bool:
        if not self._directory.verify(record):
            return False
        try:
            self._newcomers.put_nowait(record)
        except queue.Full:
            return False
        return True

    def search(self, asked: SearchBody) -> SearchAnswer:
        """A requester's search, which enters the network at this node."""
        query, envelope = (
            Signature.decode(bytes.fromhex(asked.query)),
            bytes.fromhex(asked.envelope),
        )
        self._admit(envelope, query, direct=True)
        find = self._flooded if asked.flood else self._looked_up
        return find(query, envelope, asked.want)

    def _looked_up(self, query: Signature, envelope: bytes, want: int) -> SearchAnswer:
        outcome = lookup.lookup(
            self._known_table(),
            query,
            self._transport,
            self._directory.verify,
            lookup.LookupLimits(want=want),
            seed=secrets.randbits(64),
            envelope=envelope,
            endpoint_of=endpoint_of,
        )
        return _answer(outcome.matches, outcome.messages, outcome.hops)

    def _flooded(self, query: Signature, envelope: bytes, want: int) -> SearchAnswer:
        if not self._floods.acquire(blocking=False):
            raise SearchRefused(503, "busy", "too many floods at once: search without, or later")
        try:
            outcome = flood(
                self._known_table(),
                query,
                self._flood_transport,
                self._directory.verify,
                FloodLimits(),
                envelope=envelope,
            )
        finally:
            self._floods.release()
        return _answer(outcome.matches[:want], outcome.messages, outcome.hops)

    def _known_table(self) -> RetrievalTable:
        table = self._table
        if table is None:
            raise SearchRefused(503, "not-joined", "this provider has published no profile yet")
        return table

    def _admit(self, envelope: bytes, query: Signature, *, direct: bool) -> None:
        with self._guard_lock:
            self._guard.admit(envelope, query, direct=direct)


def _answer(matches: Sequence[lookup.FoundNode], messages: int, hops: int) -> SearchAnswer:
    return SearchAnswer(
        matches=tuple(Match.of(match.record) for match in matches), messages=messages, hops=hops
    )


@lru_cache(maxsize=20_000)
def endpoint_of(record: Record) -> str:
    """The endpoint that a profile declares; empty if it declares none or is malformed."""
    try:
        return Profile.of(record).details.endpoint
    except RetrievalError:
        return ""


class SearchEndpoint:
    """A `SearchNode` with its server; the daemon starts and stops them together."""

    def __init__(
        self,
        node: SearchNode,
        listen: str,
        limits: EndpointLimits | None = None,
        exchange: ExchangeBackend | None = None,
    ) -> None:
        """`exchange`: answers messages of rounds at the same address.

        Raises SettingsError if host:port cannot be bound."""
        self._node = node
        self._server = EndpointServer(Endpoint(node, limits, exchange), listen, limits)

    @property
    def address(self) -> str:
        """host:port."""
        return self._server.address

    def start(self) -> None:
        self._server.start()
        self._node.start()

    def stop(self) -> None:
        self._server.stop()
        self._node.stop()
