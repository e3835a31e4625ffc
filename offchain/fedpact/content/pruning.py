"""What all owners with a state folder keep, and giving up what none of them owes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedpact.content.pin_register import PINS, KeptRequest, PinRegister
from fedpact.content.store import ContentStore
from fedpact.content.store_address import open_store
from fedpact.settings import Settings
from fedpact.types.cid import Cid

PRUNE_SECONDS = 600.0
"""Collecting garbage in a large IPFS node takes minutes, in which it says nothing."""


@dataclass(frozen=True)
class Pruning:
    """What was or would be given up."""

    items: int
    bytes: int
    collected: int
    """Files or blocks that the store deleted; 0 in a dry run."""


def kept_by_all(state: Path) -> list[tuple[str, KeptRequest]]:
    """(account, what it keeps) of all providers and requesters in a state folder."""
    found = []
    for path in _registers(state):
        with PinRegister(path) as register:
            found += [(path.parent.name, kept) for kept in register.summary()]
    return found


def prune(settings: Settings, *, really: bool, now: int | None = None) -> Pruning:
    """Unpin what nobody in the state folder owes any more, and have the store delete it.

    `now`: seconds since 1970. Unless `really`, only look.
    """
    at = int(time.time()) if now is None else now
    with _past(settings.state, at) as (past, registers):
        collected = 0
        if really:
            credentials = settings.store_credentials
            with closing(
                open_store(*settings.store, timeout=PRUNE_SECONDS, credentials=credentials)
            ) as store:
                _unpin(store, past, registers, at)
                collected = store.collect_garbage()
        return Pruning(len(past), sum(past.values()), collected)


def unpin_past(store: ContentStore, state: Path, now: int) -> int:
    """Unpin what nobody in a state folder owes any more at `now` (seconds since 1970); returns how
    many items that were. The store is left to delete them."""
    with _past(state, now) as (past, registers):
        _unpin(store, past, registers, now)
        return len(past)


@contextmanager
def _past(state: Path, at: int) -> Iterator[tuple[dict[Cid, int], list[PinRegister]]]:
    """What nobody in a state folder owes any more, with its bytes, and all open registers."""
    with ExitStack() as opened:
        registers = [opened.enter_context(PinRegister(path)) for path in _registers(state)]
        owed: set[Cid] = set()
        past: dict[Cid, int] = {}
        for register in registers:
            owed |= register.owed(at)
            past |= register.past(at)
        yield {cid: size for cid, size in past.items() if cid not in owed}, registers


def _unpin(store: ContentStore, cids: Iterable[Cid], registers: list[PinRegister], at: int) -> None:
    """A store may take minutes, in which an item can be kept for another request."""
    for cid in cids:
        if any(register.owes(cid, at) for register in registers):
            continue
        store.unpin(cid)
        for register in registers:
            register.forget(cid, at)


def _registers(state: Path) -> list[Path]:
    return sorted(state.rglob(PINS))
