"""Content that is owed, on a real IPFS node whose garbage somebody else collects."""

import random
from pathlib import Path

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.ipfs_node import IpfsNode
from fedpact.content.ipfs_store import IpfsStore
from fedpact.content.pin_register import PinRegister
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.content.pruning import prune
from fedpact.provider.files import copies_folder, pins_file
from fedpact.settings import Settings


def test_a_model_is_put_again_while_owed_and_collected_afterwards(
    node: IpfsNode, store: IpfsStore, tmp_path: Path
) -> None:
    settings = Settings(store=(node.url,), state=tmp_path)
    kept = KeptStore(
        IpfsStore(node.url),
        PinRegister(pins_file(tmp_path, "0xaa")),
        EmbeddedStore(copies_folder(tmp_path, "0xaa")),
        bytes(32),
    )
    model = random.Random(1).randbytes(700_000)  # several blocks
    with keeping_for(1):
        cid = kept.put(model)
    assert kept.size() > len(model)
    store.unpin(cid)
    assert store.collect_garbage() > 1
    assert not store.has(cid)

    assert kept.give_again(kept.next_owed(100)) == 1
    assert store.get(cid, len(model)) == model
    kept.end(1, 200)
    kept.close()
    assert prune(settings, really=False, now=200).items == 1
    assert store.has(cid)
    assert prune(settings, really=True, now=200).collected > 1
    assert not store.has(cid)
