"""A content store whose owner knows what it keeps for whom, and gives it again if it disappears."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.pin_register import PinRegister
from fedpact.content.pruning import unpin_past
from fedpact.content.store import ContentStore
from fedpact.errors import ContentUnavailable, FedpactError, PolicyRefusal
from fedpact.types.cid import Cid
from fedpact.types.decline_reason import Reason

log = logging.getLogger(__name__)

MIB = 1 << 20
AT_ONCE = 50
"""Items looked after in one call."""

_request: ContextVar[int | None] = ContextVar("request", default=None)


@contextmanager
def keeping_for(request: int | None) -> Iterator[None]:
    """What this thread puts and gets is kept for a request; None: it is not kept."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


class CopiedStore:
    """ContentStore over another one: what it lacks or cannot give now comes from copies."""

    def __init__(self, store: ContentStore, copies: EmbeddedStore) -> None:
        self._store, self._copies = store, copies
        self.check, self.has, self.pin, self.unpin = store.check, store.has, store.pin, store.unpin
        self.collect_garbage, self.size = store.collect_garbage, store.size

    def put(self, data: bytes) -> Cid:
        return self._store.put(data)

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        try:
            return self._store.get(cid, max_bytes)
        except ContentUnavailable:
            try:
                return self._copies.get(cid, max_bytes)
            except FedpactError:
                pass
            raise

    def give_again(self, owed: Mapping[Cid, int]) -> int:
        """Put again what the store has lost of these items, by their bytes; returns how many that
        were. Raises StoreUnreachable."""
        given = 0
        for cid, size in owed.items():
            if self._store.has(cid) or not self._copies.has(cid):
                continue
            self._store.put(self._copies.get(cid, size))
            given += 1
            log.warning("the store had lost %s, which is owed: stored again", cid)
        return given

    def prune(self, state: Path, now: int) -> None:
        """Unpin what no register in a state folder says is owed at `now` (seconds since 1970).

        A folder deletes it at once. A server is left to do so by itself, since that takes a large
        one minutes.
        """
        if unpin_past(self._store, state, now) and isinstance(self._store, EmbeddedStore):
            self._store.collect_garbage()

    def another(self) -> "CopiedStore":
        return CopiedStore(self._store.another(), self._copies.another())

    def close(self) -> None:
        self._store.close()


class KeptStore(CopiedStore):
    """ContentStore over another one. Inside `keeping_for`, what is put or fetched is noted in the
    register, and a copy stays on this machine for as long as the register says that it is owed.

    A copy that cannot be kept is a warning; the store itself decides whether a call fails.
    """

    def __init__(
        self,
        store: ContentStore,
        register: PinRegister,
        copies: EmbeddedStore,
        deployment: bytes,
        quota: int = 0,
    ) -> None:
        """`deployment`: its fingerprint; `copies`: a folder for this owner alone; `quota`: bytes
        that may be kept in all, 0: any number."""
        super().__init__(store, copies)
        self._register = register
        self._deployment, self._quota = deployment.hex(), quota
        self._noted: set[tuple[int, Cid, bool]] = set()

    def put(self, data: bytes) -> Cid:
        cid = super().put(data)
        self._keep(cid, data, pinned=True)
        return cid

    def keep(self, data: bytes, *, pinned: bool) -> None:
        """Keep what was put into the store (`pinned`) or fetched elsewhere than here."""
        self._keep(Cid.of(data), data, pinned=pinned)

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        data = super().get(cid, max_bytes)
        self._keep(cid, data, pinned=False)
        return data

    def close(self) -> None:
        self._register.close()
        super().close()

    def end(self, request: int, until: int) -> None:
        """Nothing is owed for a request after `until` (seconds since 1970)."""
        self._register.end(self._deployment, request, until)

    def going_on(self) -> list[int]:
        """Requests of this deployment for which something is kept without an end."""
        kept = self._register.summary()
        mine = (one for one in kept if one.deployment == self._deployment)
        return [one.request for one in mine if one.until is None]

    def require_room(self, needed: int) -> None:
        """Raise PolicyRefusal if `needed` bytes more would pass the quota."""
        held = self._register.size() if self._quota else 0
        if held + needed > self._quota > 0:
            raise PolicyRefusal(
                f"its content ({needed // MIB} MiB) would not fit: {held // MIB} MiB of the quota"
                f" ({self._quota // MIB} MiB) are used (fedpact store prune)",
                Reason.ROOM,
            )

    def next_owed(self, now: int) -> dict[Cid, int]:
        """The part of what is owed at `now` that was not looked at for longest, with its bytes, for
        `give_again` in another thread."""
        self._register.forget_copies(now)
        return self._register.next_owed(now, AT_ONCE)

    def drop_copies(self, now: int) -> None:
        """Delete the copies of what is owed for nothing any more."""
        owed = self._register.owed(now)
        for cid in self._copies.items():
            if cid not in owed:
                self._copies.unpin(cid)
        self._copies.collect_garbage()
        self._noted.clear()

    def _keep(self, cid: Cid, data: bytes, *, pinned: bool) -> None:
        request = _request.get()
        if request is None or (request, cid, pinned) in self._noted:
            return
        try:
            self._copies.put(data)
            self._register.note(self._deployment, request, cid, len(data), pinned=pinned)
        except FedpactError as error:
            log.warning("no copy of %s is kept: %s", cid, error)
            return
        self._noted.add((request, cid, pinned))
