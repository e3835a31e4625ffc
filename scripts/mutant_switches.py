"""Many mutants in one compilation: each changed line stands beside the original, and the bits of a
block's beneficiary choose at run time (mutant schemata; Untch, Offutt and Harrold 1993).

`x = a + b;` becomes `if (mutantOn(7)) { x = a - b; } else { x = a + b; }`, and a condition or the
value of a new variable `mutantOn(7) ? (a - b) : (a + b)`. Lines that do not show alone how to
switch (parts of an expression, modifiers, constants) are compiled for each mutant.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from scripts.mutants import Mutant

UNIT = "contracts/MutantSwitch.sol"
SWITCH = """// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

function beneficiary() view returns (uint256) {
    return uint160(address(block.coinbase));
}

/// Called from pure functions, too.
function mutantOn(uint256 number) pure returns (bool) {
    function() view returns (uint256) reads = beneficiary;
    function() pure returns (uint256) asPure;
    assembly ("memory-safe") {
        asPure := reads
    }
    return (asPure() >> number) & 1 == 1;
}
"""
_IMPORT = f'import {{mutantOn}} from "{UNIT}";\n'

_FOR = re.compile(r"(\s*for \([^;]*; )([^;]*)(; [^;]*\) \{\n)")
_NEW = re.compile(
    r"(\s*(?:[\w.]+(?:\[\])?(?: memory| storage| calldata)? \w+|\([\w ,]+\)) = )([^;]*)(;\n)"
)
_STATEMENT = re.compile(r"(?:if \(|return\b|[\w.\[\]+-]+(?:\(| [-+|&^<>]*= |;|\+\+;|\[)).*;")
_BEFORE_STATEMENT = re.compile(r"[;{}]$|^//|^$")


def switched(
    texts: dict[str, str], mutants: dict[int, Mutant]
) -> tuple[dict[str, str], dict[tuple[str, int], list[int]]]:
    """The sources with a switch at each mutant that can have one.

    Returns the texts, and the numbers of the mutants by file and line (counted from 1) of these.
    """
    changes: dict[str, dict[int, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for number, mutant in mutants.items():
        text = texts[mutant.file]
        place = text.index(mutant.old) + mutant.old.rfind("\n", 0, -1) + 1
        line = text.count("\n", 0, place)
        changes[mutant.file][line][number] = mutant.new[len(mutant.old) - len(_last(mutant.old)) :]
    result, places = {**texts, UNIT: SWITCH}, {}
    for file, lines in changes.items():
        own = texts[file].splitlines(keepends=True)
        for line, variants in lines.items():
            one = _with_switches(own, line, variants)
            if one is not None:
                own[line], places[file, line + 2] = one, sorted(variants)
        pragma = next(i for i, line in enumerate(own) if line.startswith("pragma "))
        own[pragma] += _IMPORT
        result[file] = "".join(own)
    return result, places


def _last(text: str) -> str:
    return text.splitlines(keepends=True)[-1]


def _with_switches(lines: Sequence[str], at: int, variants: dict[int, str]) -> str | None:
    """The line with a switch for each variant by its number; None if there is no rule for it."""
    line, before, after = lines[at], lines[at - 1].strip(), lines[at + 1].strip()
    for parts in (_condition, _for, _new):
        if (split := parts(line)) is None:
            continue
        start, value, end = split
        pieces = {number: parts(variant) for number, variant in variants.items()}
        if all(one and (one[0], one[2]) == (start, end) for one in pieces.values()):
            for number, piece in pieces.items():
                assert piece is not None
                value = f"mutantOn({number}) ? ({piece[1]}) : ({value})"
            return f"{start}{value}{end}"
    body, others = _code(line), {number: _code(variant) for number, variant in variants.items()}
    alone = _BEFORE_STATEMENT.search(before) and not after.startswith("else")
    if not alone or _NEW.fullmatch(line) or not _STATEMENT.fullmatch(body):
        return None
    if not all(one == "" or _STATEMENT.fullmatch(one) for one in others.values()):
        return None
    for number, one in others.items():
        body = f"if (mutantOn({number})) {{ {one} }} else {{ {body} }}"
    return body + "\n"


def _code(line: str) -> str:
    return line.split("//")[0].strip()


def _condition(line: str) -> tuple[str, str, str] | None:
    """What is before the condition of an `if` or `while`, the condition, and what is after it."""
    head = re.match(r"\s*(?:\} )?(?:else )?(?:if|while) \(", line)
    if head is None:
        return None
    depth = 1
    for place in range(head.end(), len(line)):
        depth += {"(": 1, ")": -1}.get(line[place], 0)
        if depth == 0:
            return line[: head.end()], line[head.end() : place], line[place:]
    return None


def _for(line: str) -> tuple[str, str, str] | None:
    return found.groups() if (found := _FOR.fullmatch(line)) else None  # type: ignore[return-value]


def _new(line: str) -> tuple[str, str, str] | None:
    return found.groups() if (found := _NEW.fullmatch(line)) else None  # type: ignore[return-value]
