"""Participants on chain: the digests of their profiles, and who is active; not the profiles.

Read from the registry's events, again after a reorganisation, and kept in memory: some 250 bytes
per participant. Daemons and requesters check every record that they receive against it.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fedpact.chain.client import ChainClient
from fedpact.chain.records import Event
from fedpact.chain.scanner import EventScanner
from fedpact.retrieval.messages import Record

_NONE = bytes(32)
FRESH_SECONDS = 1.0
"""Least time between two reads of the chain for an unknown record or account."""


@dataclass(frozen=True)
class Entry:
    """One participant's current profile."""

    digest: bytes
    attributes_root: bytes
    changed: int
    """Position in the order of all changes; the newest is the greatest."""


class ProfileDirectory:
    """Thread-safe. Methods that refresh raise NodeUnreachable."""

    def __init__(
        self,
        client: ChainClient,
        confirmations: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._confirmations = confirmations
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._clear()

    def refresh(self, known_for: float = 0.0) -> None:
        """Read what is new on chain, unless that was done less than `known_for` seconds ago."""
        with self._lock:
            if self._clock() - self._looked >= known_for:
                self._scan()

    def verify(self, record: Record) -> bool:
        """Whether the record is its account's profile on chain and the account is active."""
        account = record.node
        digest = record.digest
        if self._holds(account, digest):
            return True
        self._look_again()
        return self._holds(account, digest)

    def active(self, account: str) -> bool:
        """Whether an account (hex) is an active participant."""
        node = _node(account)
        if not self._is_active(node):
            self._look_again()
        return self._is_active(node)

    def entry(self, node: bytes) -> Entry | None:
        """The current profile of an active account; None if it has none."""
        return self._entries.get(node) if self._is_active(node) else None

    @property
    def nodes(self) -> int:
        """Number of active participants with a published profile."""
        return self._count

    def newest(self, count: int) -> list[bytes]:
        """Accounts whose profiles changed last: a newcomer joins through these."""
        with self._lock:
            known = [
                (one.changed, node) for node, one in self._entries.items() if self._is_active(node)
            ]
        return [node for _, node in sorted(known, reverse=True)[:count]]

    def drawn(self, count: int, random: Random) -> list[bytes]:
        """Accounts with a profile, chosen at random."""
        with self._lock:
            known = [node for node in self._entries if self._is_active(node)]
        return random.sample(known, min(count, len(known)))

    def _holds(self, node: bytes, digest: bytes) -> bool:
        known = self.entry(node)
        return known is not None and known.digest == digest

    def _look_again(self) -> None:
        with self._lock:
            if self._clock() - self._looked >= FRESH_SECONDS:
                self._scan()

    def _is_active(self, node: bytes) -> bool:
        return node in self._active and self._suspended.get(node, math.inf) > self._now

    def _clear(self) -> None:
        self._entries: dict[bytes, Entry] = {}
        self._active: set[bytes] = set()
        self._suspended: dict[bytes, int] = {}
        """From when on, in seconds of the chain's time: the registry announces it."""
        self._now = 0
        self._changes = 0
        self._count = 0
        self._read_to = -1
        self._scanner = self._new_scanner()

    def _new_scanner(self) -> EventScanner:
        deployment = self._client.deployment
        return EventScanner(
            self._client, deployment.block, self._confirmations, addresses=[deployment.registry]
        )

    def _scan(self) -> None:
        self._looked = self._clock()
        for chunk in self._scanner.chunks():
            if chunk.first <= self._read_to:
                # Reverted events cannot be distinguished from valid ones: read all again.
                self._clear()
                self._scan()
                return
            for event in chunk.events:
                self._take(event)
            if chunk.end is not None:
                self._read_to, self._now = chunk.end.block_number, chunk.end.timestamp
        self._count = sum(self._is_active(node) for node in self._entries)

    def _take(self, event: Event) -> None:
        if "account" not in event.args:
            return
        node = _node(event.args["account"])
        if event.name in ("Registered", "Restored"):
            self._active.add(node)
            self._suspended.pop(node, None)
        elif event.name == "Suspended":
            self._active.discard(node)
        elif event.name == "SuspensionAnnounced":
            self._suspended[node] = event.args["effective"]
        if event.name in ("Registered", "ProfileChanged"):
            self._changes += 1
            digest, root = bytes(event.args["profile"]), bytes(event.args["attributesRoot"])
            if digest == _NONE:
                self._entries.pop(node, None)
            else:
                self._entries[node] = Entry(digest, root, self._changes)


def _node(account: str) -> bytes:
    return bytes.fromhex(account.removeprefix("0x"))
