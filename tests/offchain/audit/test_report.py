"""How checks become verdicts."""

import pytest

from fedpact.audit.report import (
    AuditItem,
    AuditReport,
    Broken,
    Unavailable,
    Verdict,
    look,
    require,
)
from fedpact.errors import (
    AuditFailed,
    ContentMismatch,
    ContentMissing,
    DecryptionError,
    FedpactError,
    NodeUnreachable,
)


def raising(error: Exception) -> AuditItem:
    def check() -> str:
        raise error

    return look("thing", check)


def test_a_check_that_returns_holds() -> None:
    assert look("thing", lambda: "seen") == AuditItem("thing", Verdict.HOLDS, "seen")


@pytest.mark.parametrize("error", [Unavailable("x"), ContentMissing("x"), NodeUnreachable("x")])
def test_unavailable_content_leaves_an_item_open(error: FedpactError) -> None:
    assert raising(error).verdict is Verdict.UNAVAILABLE


@pytest.mark.parametrize("error", [Broken("x"), DecryptionError("x"), ContentMismatch("x")])
def test_wrong_content_makes_an_item_fail(error: FedpactError) -> None:
    assert raising(error).verdict is Verdict.FAILS


def test_a_mistake_in_the_auditor_itself_is_never_a_verdict() -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())


def test_require_reports_the_broken_condition() -> None:
    require(True, "fine")
    with pytest.raises(Broken, match="two and two"):
        require(False, "two and two")


def test_a_report_raises_for_failures_only() -> None:
    holds = AuditItem("a", Verdict.HOLDS, "")
    open_ = AuditItem("b", Verdict.UNAVAILABLE, "sealed")
    fails = AuditItem("c", Verdict.FAILS, "1 wei too much")

    AuditReport(1, 9, (holds, open_)).check()
    with pytest.raises(AuditFailed, match="request 1: c: 1 wei too much"):
        AuditReport(1, 9, (holds, open_, fails)).check()
    assert AuditReport(1, 9, (holds, fails)).verdict("c") is Verdict.FAILS
