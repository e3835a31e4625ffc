"""What a member reads of a request."""

from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.chain.records import Frame
from fedpact.errors import NodeUnreachable
from fedpact.provider.context import Cache, Events
from fedpact.provider.request.view import RequestView


def test_a_rounds_events_are_those_since_the_last_start() -> None:
    """A void start began round 1 as well."""
    first, second = {"round": 1, "digest": "0x1"}, {"round": 1, "digest": "0x2"}
    known = Events(
        [
            ("Started", {"index": 0}),
            ("ModelsSubmitted", first),
            ("Started", {"index": 1}),
            ("ModelsSubmitted", second),
            ("ModelsSubmitted", {"round": 2}),
        ]
    )
    assert known.of("ModelsSubmitted", 1) == [second]
    assert known.of("ModelsSubmitted", None) == [first, second, {"round": 2}]
    assert [one["index"] for one in known.of("Started", None)] == [0, 1]
    assert known.of("RoundFailed", 1) == known.of("RoundFailed", None) == []


def test_a_pool_that_the_node_gives_by_halves_is_read_again() -> None:
    """Seen in the soak: a busy node told of a newer block that the pool was closed, and gave one of
    its two members. The daemon kept that one for good, and could neither start nor train."""
    members: list[str] = ["first"]
    pool = SimpleNamespace(
        members=lambda *_: tuple(members), facts=lambda *_: SimpleNamespace(members=2, closed=True)
    )
    ctx: Any = SimpleNamespace(client=SimpleNamespace(pool=pool), cache=Cache())
    absent: Any = None

    def view() -> RequestView:
        return RequestView(ctx, Frame(7, "0xb7", 0), 1, absent, absent)

    with pytest.raises(NodeUnreachable, match="gives 1 members of a pool of 2 at block 7"):
        _ = view().pool
    members.append("second")
    assert view().pool == ("first", "second")
    members.clear()
    assert view().pool == ("first", "second")  # kept
