"""Daemons whose versions of the exchange differ."""

import logging
from typing import Any

import pytest

from fedpact.errors import InvalidInput
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
        assert sorted(one.split(" ")[0] for one in told) == ["another", a.own]
        assert "messages of version 2, where version 1 is exchanged" in "".join(told)
        versions[0] = b'"version":1'  # both have the same one now
        wait_until(
            lambda: a.models((ROUND.request, ROUND.round)) if models else held(a, Kind.MODEL) == {0}
        )


@pytest.mark.parametrize(
    ("content", "other"),
    [
        (b'{"version":0}', True),
        (b'{"version":2,"later":[]}', True),
        (b'{"version":-1}', False),
        (b'{"version":1e400}', False),
        (b'{"version":1,"later":[]}', False),
        (b'{"version":%s}' % (b"9" * 5_000), False),
        (b"[" * 100_000, False),
        (b"[]", False),
    ],
    ids=["earlier", "later", "negative", "infinite", "a field more", "digits", "deep", "a list"],
)
def test_another_version_is_told_from_what_is_malformed(content: bytes, other: bool) -> None:
    for decode in (Sending.decode, Models.decode):
        with pytest.raises(InvalidInput) as caught:
            decode(content)
        assert isinstance(caught.value, OtherVersion) == other
