"""What both protocols' daemons do before they join."""

from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.provider import joining
from fedpact.provider.joining import ready_to_join


def test_what_a_family_stands_on_is_fetched_before_joining(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Any] = []
    family = SimpleNamespace(obtain=lambda spec, store: fetched.append((spec, store)))
    monkeypatch.setattr(joining, "family_of", lambda spec: family)
    monkeypatch.setattr(joining, "samples_to_join", lambda *given: 7)
    ctx: Any = SimpleNamespace(store="store", deployment=SimpleNamespace(fingerprint=b"\1"))
    spec: Any = "specification"
    assert ready_to_join(ctx, spec, 1, "0x01", 3) == 7
    assert fetched == [(spec, "store")]
