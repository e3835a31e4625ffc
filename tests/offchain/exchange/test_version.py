"""Daemons whose versions of the exchange differ."""

import logging
from typing import Any

import pytest

from fedpact.errors import InvalidInput, RetrievalError
from fedpact.exchange.messages import Kind
from fedpact.exchange.sending import Sending
from fedpact.exchange.submissions import Models
from fedpact.exchange.version import OtherVersion
from tests.offchain.exchange.test_gossip import PLACE, exchanging, held
from tests.offchain.exchange.test_messages import BALLOT, DIGEST, signed
from tests.offchain.exchange.test_submissions import ROUND, named
from tests.support.waiting import wait_until


@pytest.mark.parametrize("models", [False, True])
def test_daemons_of_two_versions_say_so_once_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, models: bool
) -> None:
    """Each answered the other with 400, which only a log of level DEBUG showed."""
    with exchanging() as a, exchanging(False) as b:
        ask, statuses = b._http.answer, list[int]()
        versions = [b'"version":2']

        def of_another_version(*args: Any) -> tuple[int, bytes]:
            *most, content, media_type = args
            found = ask(*most, content.replace(b'"version":1', versions[0]), media_type)
            statuses.append(found[0])
            return found

        monkeypatch.setattr(b._http, "answer", of_another_version)
        if models:
            a.name_models(ROUND, [], [], judging=True)
            b.name_models(ROUND, [a.own], [named(4)], judging=False)
        else:
            for each in (a, b):
                each.open(BALLOT, [a.own], lambda: ())
            b.say(PLACE, signed(Kind.MODEL, 0, DIGEST))
        wait_until(lambda: statuses.count(409) > 1)
        told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        here, there = sorted(told, key=lambda one: a.own in one)
        assert here.startswith("round 2 of request 7: here came messages of version 2, where")
        assert there.startswith(f"{a.own} exchanges the messages of rounds in another version")
        versions[0] = b'"version":1'  # both have the same one now
        wait_until(
            lambda: a.models((ROUND.request, ROUND.round)) if models else held(a, Kind.MODEL) == {0}
        )


def test_a_daemon_from_before_there_were_versions_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it said was taken, and it refused each answer: neither said a word."""
    with exchanging() as a, exchanging(False) as b:
        ask = b._http.answer

        def of_no_version(*args: Any) -> tuple[int, bytes]:
            *most, content, media_type = args
            return ask(*most, content.replace(b',"version":1', b""), media_type)

        monkeypatch.setattr(b._http, "answer", of_no_version)
        for each in (a, b):
            each.open(BALLOT, [a.own], lambda: ())
        b.say(PLACE, signed(Kind.MODEL, 0, DIGEST))
        wait_until(lambda: "here came messages without a version, where version 1" in caplog.text)
        assert held(a, Kind.MODEL) == set()


def test_a_peer_is_named_for_each_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that had refused messages as too long was not named for its version within the hour."""
    with exchanging(False) as a:
        for status in (413, 409, 413, 409):
            monkeypatch.setattr(a._http, "answer", lambda *_, said=status: (said, b""))
            with pytest.raises(RetrievalError, match=f"status {status}"):
                a._post("http://peer", "http://peer/exchange", b"", 1)
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [[one for one in ("(413)", "(409)") if one in text] for text in told] == [
        ["(413)"],
        ["(409)"],
    ]


@pytest.mark.parametrize(
    ("content", "other"),
    [
        (b'{"known":""}', True),
        (b'{"later":[]}', True),
        (b'{"version":0}', True),
        (b'{"version":2,"later":[]}', True),
        (b'{"version":-1}', False),
        (b'{"version":1e400}', False),
        (b'{"version":1,"later":[]}', False),
        (b'{"version":%s}' % (b"9" * 5_000), False),
        (b"[" * 100_000, False),
        (b"[]", False),
    ],
    ids=[
        *("none", "none, and malformed", "earlier", "later", "negative", "infinite"),
        *("a field more", "digits", "deep", "a list"),
    ],
)
def test_another_version_is_told_from_what_is_malformed(content: bytes, other: bool) -> None:
    for decode in (Sending.decode, Models.decode):
        with pytest.raises(InvalidInput) as caught:
            decode(content)
        assert isinstance(caught.value, OtherVersion) == other
