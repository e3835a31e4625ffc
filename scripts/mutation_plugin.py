"""A pytest plugin that runs each test once as it is, then with all mutants that still live switched
on, and where it fails by halves, until it is found with which alone it fails.

MUTANTS names a file of JSON: for each number of a switch, the beginnings of the names of the tests
that may kill the mutant. To KILLED a line is added for each that a test kills: its number, a space,
the test. A test that fails as it is kills nothing, and is noted with the number 0: it may need
fully optimised code. If a test fails as it is after it failed with a mutant, the chain is not what
it was, and the run ends with status 3.
"""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

SECONDS = 300
"""A test that takes longer with mutants says nothing about them."""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Mutants(Path(os.environ["MUTANTS"]), Path(os.environ["KILLED"])))


class Mutants:
    """Those that live, and the one that is switched on."""

    def __init__(self, living: Path, killed: Path) -> None:
        given = json.loads(living.read_text())
        self._living = {int(number): tuple(tests) for number, tests in given.items()}
        self._killed = killed
        self._on = 0

    @pytest.fixture(autouse=True)
    def _switch(self, request: pytest.FixtureRequest) -> Iterator[None]:
        if "session_chain" not in request.fixturenames:
            yield
            return
        chain: Any = request.getfixturevalue("session_chain")
        chain.rpc("anvil_setCoinbase", f"0x{self._on:040x}")
        # A call sees the last block's beneficiary.
        chain.mine_at(chain.now + 1)
        yield
        chain.rpc("anvil_setCoinbase", f"0x{0:040x}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Function, nextitem: pytest.Item | None) -> bool:
        candidates = [n for n, tests in self._living.items() if item.nodeid.startswith(tests)]
        if candidates and not self._passes(item):
            self._note(0, item)
            candidates = []
        self._try(item, candidates)
        item.session._setupstate.teardown_exact(nextitem)
        if not self._living:
            item.session.shouldstop = "no mutant lives"
        return True

    def _try(self, item: pytest.Function, numbers: Sequence[int]) -> None:
        """Strikes out those of these mutants that the test kills alone."""
        if not numbers or self._passes(item, *numbers):
            return
        if len(numbers) > 1:
            half = len(numbers) // 2
            self._try(item, numbers[:half])
            self._try(item, numbers[half:])
            return
        if not self._passes(item):
            pytest.exit(f"{item.nodeid} fails after mutant {numbers[0]}", 3)
        del self._living[numbers[0]]
        self._note(numbers[0], item)

    def _note(self, number: int, item: pytest.Item) -> None:
        with self._killed.open("a") as file:
            file.write(f"{number} {item.nodeid}\n")

    def _passes(self, item: pytest.Function, *numbers: int) -> bool:
        """Whether the test passes, or takes too long, with these mutants."""
        self._on = sum(1 << number for number in numbers)
        item._initrequest()
        stopped = False

        def stop(*_: object) -> None:
            nonlocal stopped
            stopped = True
            raise TimeoutError

        before = signal.signal(signal.SIGALRM, stop)
        signal.alarm(SECONDS if numbers else 0)
        try:
            # Its parent as the next: only what is the test's own is torn down.
            reports = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            self._on = 0
        return stopped or all(report.passed or report.skipped for report in reports)
