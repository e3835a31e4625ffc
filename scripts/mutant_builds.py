"""Mutants as tests meet them: the contracts compiled with them, by switches or one by one."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts import compile as contracts
from scripts.mutant_switches import UNIT, switched
from scripts.mutants import Mutant

ROOT = contracts.ROOT
QUICK = contracts.QUICK_SETTINGS
SWITCHES = 159
"""An address has 160 bits; 0 is no number."""
Compiled = dict[str, dict[str, Any]]

_METADATA = re.compile("a2646970667358221220[0-9a-f]{64}64736f6c6343[0-9a-f]{6}0033")
"""The hash of a contract's sources, which solc puts behind its code."""
_PLACE = re.compile(r"--> (\S+\.sol):(\d+):")
"""Where a complaint of solc is, file and line."""

UNBROKEN = Mutant("contracts/libraries/Scores.sol", "pragma solidity", "pragma  solidity", "", ())
"""Breaks nothing. In both groups, so that the tests do not take the kept contracts."""


@dataclass(frozen=True)
class Built:
    """A mutant as tests meet it: the change of the sources, by which they look into the compiler's
    cache; what they find there, by group; and the bit of its switch, 0 if it has none."""

    changed: Mutant
    kept: list[tuple[str, Compiled]]
    switch: int = 0


class Group:
    """Unchanged sources that the tests compile together: the deployed contracts, or harnesses."""

    def __init__(self, kept: contracts.Artifacts) -> None:
        self.texts, self.wanted = contracts.read_sources(kept.sources)
        self._kept = kept

    def broken(self, mutant: Mutant, settings: dict[str, Any] = QUICK) -> Compiled:
        """The contracts that depend on the mutated source, with the mutant.

        Raises ValueError if the mutant does not fit, CompileError if it does not compile.
        """
        units, texts = self.reached(mutant)
        changed = self._changed(texts, mutant)
        return contracts.compile_texts(changed, units, settings) if units else {}

    def intact(self, mutant: Mutant, settings: dict[str, Any]) -> Compiled:
        """The same contracts without the mutant."""
        units, texts = self.reached(mutant)
        return contracts.compile_once(texts, units, settings) if units else {}

    def switched(self, texts: dict[str, str]) -> Compiled:
        """All contracts, from sources with switches. Raises CompileError."""
        own = {name: texts[name] for name in (*self.texts, UNIT)}
        return contracts.compile_once(own, self.wanted, QUICK)

    def for_tests(self, mutant: Mutant, compiled: Compiled) -> tuple[str, Compiled]:
        """What the tests find in the compiler's cache: file name and content. Contracts that are
        not in `compiled` are as kept in the repository."""
        name = contracts.kept_name(self._changed(self.texts, mutant), self.wanted)
        return name, {**contracts.current_contracts(self._kept), **compiled}

    def reached(self, mutant: Mutant) -> tuple[list[str], dict[str, str]]:
        """The sources of contracts that depend on the mutated one; these with all imports."""
        units = [unit for unit in self.wanted if mutant.file in _imports(unit)]
        return units, {name: self.texts[name] for unit in units for name in _imports(unit)}

    def _changed(self, texts: dict[str, str], mutant: Mutant) -> dict[str, str]:
        if mutant.file not in texts:
            return texts
        return {**texts, mutant.file: mutant.applied(texts[mutant.file])}


class Sources:
    """The contracts without a mutant, and with all that have a switch."""

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self.groups = (Group(contracts.DEPLOYED), Group(contracts.HARNESSES))
        self._mutants = mutants

    def switches(self, mutants: Sequence[Mutant]) -> dict[int, Mutant]:
        """Those of the mutants that have a switch, by its number."""
        numbered = self._switched[0]
        return {number: one for number, one in numbered.items() if one in mutants}

    def built(self, mutant: Mutant) -> Built:
        """What a tree needs to test the mutant. Raises CompileError if it does not compile."""
        numbered, kept = self._switched
        for number, one in numbered.items():
            if one == mutant:
                return Built(UNBROKEN, kept, 1 << number)
        alone = [group.for_tests(mutant, group.broken(mutant)) for group in self.groups]
        return Built(mutant, alone)

    def unbroken(self) -> Built:
        """All contracts with all switches off."""
        return Built(UNBROKEN, self._switched[1])

    def optimised(self, mutant: Mutant) -> Built | None:
        """As built, by itself and by the full optimiser; None if that makes the same code with the
        mutant, sources' hashes apart."""
        full = contracts.SETTINGS
        broken = [group.broken(mutant, full) for group in self.groups]
        intact = [group.intact(mutant, full) for group in self.groups]
        if [code(one) for one in broken] == [code(one) for one in intact]:
            return None
        pairs = zip(self.groups, broken, strict=True)
        return Built(mutant, [group.for_tests(mutant, one) for group, one in pairs])

    def texts(self, mutant: Mutant) -> dict[str, str]:
        """The mutated source, and all that is compiled together with it."""
        reached = [group.reached(mutant)[1] for group in self.groups]
        texts = {name: text for some in reached for name, text in some.items()}
        return {**texts, mutant.file: mutant.applied(texts[mutant.file])}

    @functools.cached_property
    def _switched(self) -> tuple[dict[int, Mutant], list[tuple[str, Compiled]]]:
        """The mutants that have a switch, by its number, and all contracts with the switches."""
        sources = {name: text for group in self.groups for name, text in group.texts.items()}
        numbered = dict(enumerate(self._mutants[:SWITCHES], 1))
        while True:
            texts, places = switched(sources, numbered)
            numbered = {n: numbered[n] for some in places.values() for n in some}
            try:
                compiled = [group.switched(texts) for group in self.groups]
            except contracts.CompileError as error:
                # Some lines do not compile with a switch, such as those that set an immutable.
                lines = _PLACE.findall(str(error))
                refused = {n for file, line in lines for n in places.get((file, int(line)), ())}
                if not refused:
                    raise
                numbered = {n: one for n, one in numbered.items() if n not in refused}
            else:
                pairs = zip(self.groups, compiled, strict=True)
                return numbered, [group.for_tests(UNBROKEN, one) for group, one in pairs]


@functools.cache
def _imports(unit: str) -> tuple[str, ...]:
    """A source and its direct and indirect imports."""
    return tuple(contracts.read_sources([ROOT / unit])[0])


def code(compiled: Compiled) -> dict[str, str]:
    """The bytecode of each contract, without the hash of its sources."""
    return {name: _METADATA.sub("", one["bytecode"]) for name, one in compiled.items()}
