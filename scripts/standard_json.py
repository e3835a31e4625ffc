"""Write the compiler's input of the deployed contracts, with which explorers verify their source.

    python -m scripts.standard_json [FILE]    build/standard-json.json by default

Choose "Standard JSON input" in the explorer, solc 0.8.37, and name the contract by path, such as
contracts/SharingMarket.sol:SharingMarket. All contracts share one file, since they are compiled
together.
"""

import argparse
import json
from pathlib import Path

from scripts.compile import DEPLOYED, ROOT, read_sources, standard_input


def content() -> str:
    """The standard JSON input."""
    return (
        json.dumps(standard_input(*read_sources(DEPLOYED.sources)), indent=1, sort_keys=True) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the compiler's input for block explorers")
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "build" / "standard-json.json")
    file: Path = parser.parse_args().file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content(), encoding="utf-8")
    print(file)


if __name__ == "__main__":
    main()
