"""What is tried again and again, and told once."""

import pytest

from fedpact.errors import ContentMissing, ContentSought, FeeTooHigh, StoreUnreachable
from fedpact.requester import attempts
from fedpact.requester.attempts import Attempts

WHAT = "it failed"


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def fail(one: Attempts, error: Exception) -> None:
    with one.attempt(WHAT, 0.1):
        raise error


def test_an_error_is_told_where_it_is_another_one(caplog: pytest.LogCaptureFixture) -> None:
    """A store that was down for a night filled the log with a line every ten seconds."""
    one = Attempts()
    for error in (StoreUnreachable("no answer"), StoreUnreachable("no answer")):
        fail(one, error)
    assert caplog.messages == [f"{WHAT}: no answer"]
    fail(one, ContentMissing("it is gone"))
    assert caplog.messages[1:] == [f"{WHAT}: it is gone"]
    with one.attempt(WHAT, 0.1):
        pass
    fail(one, ContentMissing("it is gone"))
    assert len(caplog.messages) == 3


def test_an_error_with_other_figures_is_the_same_one(caplog: pytest.LogCaptureFixture) -> None:
    """A fee that was too high for a day filled the log with a line for each price."""
    one = Attempts()
    for wei in (31_000, 32_500, 1_000_000):
        fail(one, FeeTooHigh(f"enrol would cost about {wei} wei: waiting for a lower price"))
    assert len(caplog.messages) == 1
    assert one.trouble == "enrol would cost about 1000000 wei: waiting for a lower price"


def test_what_is_looked_for_again_and_again_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    one = Attempts()
    for _ in range(3):
        fail(one, ContentSought("looking for it"))
        fail(one, ContentMissing("it is nowhere"))
    assert caplog.messages == ["waiting: looking for it", f"{WHAT}: it is nowhere"]
    assert one.pause > 0


def test_what_nobody_foresaw_is_told_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    one = Attempts()
    fail(one, ValueError("odd"))
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", WHAT)
    assert record.exc_info is not None


def test_pauses_grow_until_an_attempt_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(attempts.time, "monotonic", lambda: now)
    one, pauses = Attempts(), []
    assert one.is_due
    for _ in range(12):
        fail(one, StoreUnreachable("no answer"))
        assert not one.is_due
        pauses.append(one.pause)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(10.0)
    with one.attempt(WHAT, 0.1):
        pass
    assert one.is_due
    assert one.pause == 0
