"""What an audit says that a request cost in privacy."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fedpact.audit.privacy import PrivacyChecks
from fedpact.audit.report import Broken
from fedpact.types.specification import Specification
from tests.support.specifications import SOUND, specification

PAPER = {"mode": "paper", "mechanism": "ddp-sgd", "epsilon": 2.0, "delta": 1e-5}
EPOCHS = {"epochs": 3, "batch_size": 8, "learning_rate": 0.2, "shuffle_seed": 0}


def said(spec: Specification, rounds: int = 3) -> str:
    """Of a request of two members; the first submitted in every round."""
    seats = SimpleNamespace(indices=(0, 1))
    played = {number: SimpleNamespace(submitted=1, seats=seats) for number in range(1, rounds + 1)}
    given: list[Any] = [
        SimpleNamespace(rounds=[None] * rounds),
        SimpleNamespace(roster=SimpleNamespace(members=(None, None))),
        SimpleNamespace(played=played, readable=lambda _: None),
        SimpleNamespace(spec=spec),
    ]
    return PrivacyChecks(*cast(Any, given)).privacy()


def test_no_epsilon_is_computed_for_a_mode_that_only_claims_one() -> None:
    found = said(specification(privacy=PAPER, local=EPOCHS))
    assert found.startswith("paper, ddp-sgd: epsilon 2 at delta 1e-05, ")
    assert found.endswith("; member 0: 3 rounds, member 1: 0 rounds")


def test_epsilons_are_of_the_rounds_in_which_a_member_took_part() -> None:
    spec = specification(privacy={**SOUND, "epsilon": 100.0}, rounds=3)
    found = said(spec)
    assert "member 1: 0.000 in 0 rounds" in found
    assert "member 0: 0.000" not in found
    head = found.partition(": ")[0]
    assert head.startswith("epsilon at delta 1e-05, for a record or named unit replaced by nothing")
    assert ", by the " in head
    with pytest.raises(Broken, match=r"the specification says 0\.001"):
        said(specification(privacy={**SOUND, "epsilon": 0.001}, rounds=3))
