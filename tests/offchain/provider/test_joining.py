"""What both protocols' daemons do before they join."""

from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.errors import ContentMismatch
from fedpact.provider import joining
from fedpact.provider.joining import ready_to_join
from fedpact.provider.v2 import joining as joining_v2


def test_what_a_family_builds_on_is_fetched_before_joining(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Any] = []
    family = SimpleNamespace(obtain=lambda spec, store: fetched.append((spec, store)))
    monkeypatch.setattr(joining, "family_of", lambda spec: family)
    monkeypatch.setattr(joining, "samples_to_join", lambda *given: 7)
    ctx: Any = SimpleNamespace(store="store", deployment=SimpleNamespace(fingerprint=b"\1"))
    spec: Any = "specification"
    assert ready_to_join(ctx, spec, 1, "0x01", 3) == 7
    assert fetched == [(spec, "store")]


@pytest.mark.parametrize("protocol", [joining, joining_v2])
def test_a_store_that_gives_other_bytes_makes_nobody_decline(
    monkeypatch: pytest.MonkeyPatch, protocol: Any
) -> None:
    """A damaged file or a bad gateway is no fault of the request's: it was declined for good."""

    def damaged(_: object) -> None:
        raise ContentMismatch("7 bytes served as CID hash to another")

    monkeypatch.setattr(protocol, "specification_of", damaged)
    ctx = SimpleNamespace(cache=SimpleNamespace(held=""))
    view: Any = SimpleNamespace(
        ctx=ctx,
        record=None,
        pool_facts=SimpleNamespace(members=0, left=0),
        terms=SimpleNamespace(max_pool=3),
    )
    with pytest.raises(ContentMismatch):
        protocol.opt_in(view)
