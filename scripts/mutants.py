"""The ways in which `scripts.mutation` breaks the contracts.

All that the rules below find in the contracts (interfaces apart): one operator, constant, modifier
or statement changed. A hash gives their order, so that the first n are a sample that stays the same
while its lines do.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from scripts.compile import ROOT

LIST = ROOT / "tests" / "contracts" / "mutation" / "mutants.toml"
SOURCES = ROOT / "contracts"

SWAPS = (
    *((" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > ")),
    *((" == ", " != "), (" != ", " == "), (" && ", " || "), (" || ", " && ")),
    *((" + ", " - "), (" - ", " + "), (" * ", " / "), (" / ", " * ")),
    *((" & ~", " & "), (" & ", " | "), (" | ", " & "), (" << ", " >> "), (" >> ", " << ")),
    *((" += ", " -= "), (" -= ", " += "), (" |= ", " &= ")),
    *((" nonReentrant", ""), (" onlyOwner", ""), (" onlyMarket", ""), (" whenNotPaused", "")),
)
_CONSTANT = re.compile(r"constant [\w.]+ = (\d[\d_]*)(?= days|;)")
_STATEMENT = re.compile(r"^ +(?:\+\+)?[\w.]+(?:\[[^\]]+\])?(?: [-+|&]?= [^;{]+)?;$")
_SKIPPED = re.compile(r"^\s*(?:import|pragma|using|error|event|emit|return|delete)\b")


@dataclass(frozen=True)
class Mutant:
    """Replaces `old`, found once in `file`, with `new`; `tests` are the likeliest to fail."""

    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]
    equivalent: str = ""
    """Why no test can fail; empty if one must."""

    @property
    def name(self) -> str:
        return f"{self.file.removeprefix('contracts/')}: {self.breaks}"

    def applied(self, text: str) -> str:
        """The changed source. Raises ValueError unless `old` occurs exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: found {found} times: {self.old}")
        return text.replace(self.old, self.new)


def sampled_mutants(file: Path = LIST) -> list[Mutant]:
    """All mutants, in the order in which they are drawn."""
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    equivalent = {(one["file"], one["breaks"]): one["why"] for one in content.get("equivalent", [])}
    found = [
        Mutant(
            *(source, old, new, breaks, tuple(content["tests"][source])),
            equivalent.get((source, breaks), ""),
        )
        for source, text in _texts()
        for old, new, breaks in _changes(text)
    ]
    return sorted(found, key=lambda one: sha256(f"{one.file} {one.breaks}".encode()).digest())


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCES.rglob("*.sol")):
        if "interfaces" not in path.parts:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _changes(text: str) -> Iterator[tuple[str, str, str]]:
    """Old text, which occurs once, new text, and the effect."""
    lines = text.splitlines(keepends=True)
    seen: set[str] = set()
    for number in _code(lines):
        line = lines[number]
        for changed in _of_line(line):
            breaks = f"`{line.strip()}` becomes `{changed.strip()}`"
            context = _unique(lines, number, text)
            if context is None or breaks in seen:
                continue
            seen.add(breaks)
            yield context + line, context + changed, breaks


def _code(lines: list[str]) -> Iterator[int]:
    """Numbers of the lines of code, without those in assembly."""
    depth = 0
    for number, line in enumerate(lines):
        stripped = line.strip()
        if depth or stripped.startswith("assembly "):
            depth += line.count("{") - line.count("}")
            continue
        if stripped and not stripped.startswith(("//", "/*", "*")) and not _SKIPPED.match(line):
            yield number


def _of_line(line: str) -> Iterator[str]:
    code = line.split("//")[0]
    for old, new in SWAPS:
        for place in re.finditer(re.escape(old), code):
            # A swap within another: " & " of " & ~".
            if old == " & " and code[place.end()] == "~":
                continue
            yield line[: place.start()] + new + line[place.end() :]
    if constant := _CONSTANT.search(line):
        value = int(constant[1].replace("_", ""))
        yield line[: constant.start(1)] + str(value + 1) + line[constant.end(1) :]
    if _STATEMENT.match(line.rstrip("\n")):
        yield ""


def _unique(lines: list[str], number: int, text: str) -> str | None:
    """The least of the lines before this one with which it occurs once."""
    for count in range(6):
        before = "".join(lines[max(0, number - count) : number])
        if text.count(before + lines[number]) == 1:
            return before
    return None
