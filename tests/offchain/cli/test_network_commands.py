"""`fedpact network`: trained networks that requests name by their CID."""

import json
from pathlib import Path

from fedpact.features.networks.named import networks_folder
from tests.offchain.cli.commandline import Cli
from tests.support.networks import TOKENS, WIDTH, WORDS, text_network


def test_a_network_of_texts_is_kept_with_its_vocabulary(cli: Cli, tmp_path: Path) -> None:
    network, words = tmp_path / "text.onnx", tmp_path / "vocab.txt"
    network.write_bytes(text_network())
    words.write_text("\n".join(WORDS) + "\n")
    add = ["network", "add", network, "--vocabulary", words]
    found = cli(*add, "--json")
    assert found.code == 0, found.err
    facts = json.loads(found.out)
    assert (facts["tokens"], facts["width"]) == (TOKENS, WIDTH)
    assert (networks_folder() / f"{facts['digest']}.onnx").is_file()
    words.write_text("anchor")
    refused = cli(*add)
    assert refused.code == 4
    assert refused.err == "fedpact: network: its vocabulary lacks [PAD]\n"
    assert "--vocabulary" in cli("network", "add", network, "--cased").err
