"""What a provider keeps in the content store, for whom and how long."""

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fedpact.consensus.artefacts import sealed_bytes
from fedpact.content.embedded import EmbeddedStore
from fedpact.content.kept import KeptStore
from fedpact.content.opening import open_store
from fedpact.content.register import Kept, PinRegister
from fedpact.content.store import ContentStore
from fedpact.database import set_aside
from fedpact.errors import StateError
from fedpact.learning.families import family_of
from fedpact.provider.files import copies_folder, pins_file
from fedpact.settings import Settings
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from fedpact.types.specification import Specification

log = logging.getLogger(__name__)

GIB = 1 << 30
PRUNE_SECONDS = 600.0
"""Collecting garbage in a large IPFS node takes minutes, in which it says nothing."""


def kept_store(settings: Settings, deployment: Deployment, address: str) -> KeptStore:
    """The store in the settings, with a provider's register and copies.

    A damaged register is set aside: what it knew stays pinned.
    """
    path = pins_file(settings.state, address)
    try:
        register = PinRegister(path)
    except StateError as error:
        log.error("%s: beginning a new one", error)
        set_aside(path)
        register = PinRegister(path)
    return KeptStore(
        open_store(*settings.store, credentials=settings.store_credentials),
        register,
        EmbeddedStore(copies_folder(settings.state, address)),
        deployment.fingerprint,
        int(settings.store_quota_gib * GIB),
    )


def require_room(store: ContentStore, spec: Specification) -> None:
    """Raise PolicyRefusal if a request's models, one local and one global a round, would pass the
    quota."""
    if isinstance(store, KeptStore):
        store.require_room(2 * spec.rounds * sealed_bytes(family_of(spec).template(spec)))


@dataclass(frozen=True)
class Pruning:
    """What was or would be given up."""

    items: int
    bytes: int
    collected: int
    """Files or blocks that the store deleted; 0 in a dry run."""


def kept_by_all(state: Path) -> list[tuple[str, Kept]]:
    """(account, what it keeps) of all providers in a state folder."""
    found = []
    for path in _registers(state):
        with PinRegister(path) as register:
            found += [(path.parent.name, kept) for kept in register.summary()]
    return found


def prune(settings: Settings, *, really: bool, now: int | None = None) -> Pruning:
    """Unpin what no provider in the state folder owes any more, and have the store delete it.

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
    return sorted(state.glob("provider/*/pins.sqlite"))
