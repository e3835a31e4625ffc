"""The gas costs must not creep up from those in docs/gas.json."""

from __future__ import annotations

import json

import pytest

from benchmarks.gas import JSON, grown, measure


@pytest.mark.optimised
def test_no_operation_costs_over_two_percent_more_than_recorded() -> None:
    assert grown(json.loads(JSON.read_text()), measure()) == []


@pytest.mark.parametrize(("now", "complaints"), [(102, 0), (103, 1)])
def test_growth_beyond_two_percent_is_named(now: int, complaints: int) -> None:
    def result(gas: int) -> dict[str, object]:
        empty: dict[str, object] = {"onchain": {}}
        return {
            "operations": {"submit": gas},
            "task": empty,
            "further_round": empty,
            "pool": {},
            "large_round": {},
        }

    assert len(grown(result(100), result(now))) == complaints
