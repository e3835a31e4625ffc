"""What all owners with a state folder keep, and giving up what none of them owes."""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fedpact.content.opening import open_store
from fedpact.content.register import PINS, Kept, PinRegister
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


def kept_by_all(state: Path) -> list[tuple[str, Kept]]:
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
    owed: set[Cid] = set()
    past: dict[Cid, int] = {}
    registers = [PinRegister(path) for path in _registers(settings.state)]
    try:
        for register in registers:
            owed |= register.owed(at)
            past |= register.past(at)
        given_up = {cid: size for cid, size in past.items() if cid not in owed}
        collected = 0
        if really:
            collected = _give_up(settings, list(given_up), registers)
        return Pruning(len(given_up), sum(given_up.values()), collected)
    finally:
        for register in registers:
            register.close()


def _give_up(settings: Settings, cids: list[Cid], registers: list[PinRegister]) -> int:
    credentials = settings.store_credentials
    with closing(
        open_store(*settings.store, timeout=PRUNE_SECONDS, credentials=credentials)
    ) as store:
        for cid in cids:
            store.unpin(cid)
            for register in registers:
                register.forget(cid)
        return store.collect_garbage()


def _registers(state: Path) -> list[Path]:
    return sorted(state.rglob(PINS))
