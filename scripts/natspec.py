"""The contracts' reference as Markdown, from the NatSpec of their interfaces."""

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from scripts import compile as contracts

os.environ["SOLCX_BINARY_PATH"] = str(contracts.SOLC_FOLDER)  # before solcx looks at it

import solcx
from eth_utils.abi import abi_to_signature

CACHE = contracts.ROOT / ".cache" / "natspec"
FOLDER = "contracts/interfaces"
INTERFACES = (
    "IParticipantRegistry",
    "IReputationLedger",
    "ITrainingPool",
    "ITrainingRounds",
    "ILargeRounds",
    "ISharingMarket",
    "IResaleMarket",
)
OUTPUTS = ["abi", "devdoc", "userdoc"]

Entry = dict[str, Any]


def page() -> str:
    """Functions, events and errors of each interface, in Markdown."""
    lines = [
        "# Contracts",
        "",
        f"Generated from the interfaces in `{FOLDER}`. Who may call what, and when: see "
        "[the protocol](../protocol.md). What each operation costs: see [gas](../gas.md).",
        "",
    ]
    for name, contract in _compiled().items():
        lines += _contract(name, contract)
    return "\n".join(lines) + "\n"


def _contract(name: str, contract: Entry) -> Iterator[str]:
    user, developer = contract["userdoc"], contract["devdoc"]
    yield from (f"## {name}", "", *_texts(user.get("notice"), developer.get("details")))
    functions = [entry for entry in contract["abi"] if entry["type"] == "function"]
    yield from ("### Functions", "")
    for entry in sorted(functions, key=lambda entry: str(entry["name"])):
        key = abi_to_signature(entry)
        notes = developer.get("methods", {}).get(key, {})
        mutability = entry["stateMutability"]
        kind = "" if mutability == "nonpayable" else f" {mutability}"
        yield from (f"#### {entry['name']}", "", "```solidity")
        yield f"function {entry['name']}({_arguments(entry['inputs'])}) external{kind}" + (
            f" returns ({_arguments(entry['outputs'])})" if entry["outputs"] else ""
        )
        yield from ("```", "")
        notice = user.get("methods", {}).get(key, {}).get("notice")
        yield from _texts(notice, notes.get("details"))
        described = [*notes.get("params", {}).items(), *notes.get("returns", {}).items()]
        if described:
            yield from (f"- `{argument}`: {_line(text)}" for argument, text in described)
            yield ""
    for kind, title in (("event", "Events"), ("error", "Errors")):
        yield from (f"### {title}", "", f"| {kind} | meaning |", "|---|---|")
        for entry in contract["abi"]:
            if entry["type"] == kind:
                said = user.get(f"{kind}s", {}).get(abi_to_signature(entry), {})
                notice = said[0]["notice"] if isinstance(said, list) else said.get("notice", "")
                yield f"| `{entry['name']}({_arguments(entry['inputs'])})` | {_line(notice)} |"
        yield ""


def _arguments(inputs: list[Entry]) -> str:
    return ", ".join(f"{_type(entry)} {entry['name']}".strip() for entry in inputs)


def _type(entry: Entry) -> str:
    """As in the source, without the word that tells structs, enums and contracts apart."""
    return str(entry["internalType"]).split(" ")[-1] + (" indexed" if entry.get("indexed") else "")


def _texts(*texts: str | None) -> Iterator[str]:
    for text in texts:
        if text:
            yield from (_line(text), "")


def _line(text: str) -> str:
    """One line, escaped for a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _compiled() -> dict[str, Entry]:
    """What solc writes of each interface; kept in .cache by the hash of all sources."""
    sources, wanted = contracts.read_sources([FOLDER])
    document = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources.items()},
        "settings": {
            "remappings": contracts.SETTINGS["remappings"],
            "outputSelection": {unit: {"*": OUTPUTS} for unit in wanted},
        },
    }
    kept = CACHE / f"{sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()}.json"
    if not kept.exists():
        output = solcx.compile_standard(
            document, base_path=contracts.ROOT, solc_version=contracts.COMPILER
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(output["contracts"]))
    found = json.loads(kept.read_text())
    return {name: found[f"{FOLDER}/{name}.sol"][name] for name in INTERFACES}
