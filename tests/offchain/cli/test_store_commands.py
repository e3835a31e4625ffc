"""`fedpact store`: what is kept, and giving up what nobody owes."""

import json
import time

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.pin_register import PinRegister
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.provider.files import copies_folder, pins_file
from fedpact.settings import Settings
from fedpact.types.cid import Cid
from tests.offchain.cli.commandline import Cli

ACCOUNT = "0xaa"
FINGERPRINT = b"f" * 32


def kept(settings: Settings) -> tuple[Cid, Cid]:
    """A model of a request that is over and one of a request under way."""
    store = KeptStore(
        EmbeddedStore(settings.store[0]),
        PinRegister(pins_file(settings.state, ACCOUNT)),
        EmbeddedStore(copies_folder(settings.state, ACCOUNT)),
        FINGERPRINT,
    )
    with keeping_for(1):
        past = store.put(b"of a request that is over")
    with keeping_for(2):
        owed = store.put(b"of a request under way")
    store.end(1, int(time.time()) - 10)
    store.close()
    return past, owed


def test_what_is_kept_is_listed_and_pruned_only_when_told(cli: Cli) -> None:
    settings = Settings()
    assert cli("store", "status").out == "nothing is kept\n"
    past, owed = kept(settings)
    over, running = json.loads(cli("store", "status", "--json").out)
    assert over["until"] is not None
    assert {**over, "until": None} == {
        "account": ACCOUNT,
        "deployment": FINGERPRINT.hex()[:16],
        "request": 1,
        "items": 1,
        "bytes": 25,
        "until": None,
    }
    assert (running["request"], running["until"]) == (2, None)

    would = {"pruned": False, "items": 1, "bytes": 25, "collected": 0}
    store = EmbeddedStore(settings.store[0])
    assert json.loads(cli("store", "prune", "--json").out) == would
    assert store.has(past)
    done = json.loads(cli("store", "prune", "--yes", "--json").out)
    assert done == {**would, "pruned": True, "collected": 1}
    assert not store.has(past)
    assert store.has(owed)
    assert json.loads(cli("store", "prune", "--yes", "--json").out)["items"] == 0
