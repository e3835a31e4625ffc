"""Write the compiler's input of the deployed contracts, with which explorers verify their source.

    python -m scripts.standard_json [FOLDER]    first.json and second.json, into build/standard-json

Choose "Standard JSON input" in the explorer, solc 0.8.37, and name the contract by path, such as
contracts/SharingMarket.sol:SharingMarket. All contracts of a protocol share one file, since they
are compiled together.
"""

import argparse
import json
from pathlib import Path

from scripts.compile import DEPLOYED, ROOT, SECOND, read_sources, standard_input


def inputs() -> dict[str, str]:
    """The standard JSON input of each protocol, by name."""
    return {
        name: json.dumps(standard_input(*read_sources(kept.sources())), indent=1, sort_keys=True)
        + "\n"
        for name, kept in (("first", DEPLOYED), ("second", SECOND))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the compiler's input for block explorers")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "standard-json")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in inputs().items():
        path = folder / f"{name}.json"
        path.write_text(content, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
