"""A daemon never signs two different messages for one duty."""

from pathlib import Path

from fedpact.provider.state.checkpoint import ProviderState
from fedpact.types.deployment import Deployment

DEPLOYMENT = Deployment(1, "0x00", "0x01", "0x02", "0x03", 0, {})


def test_what_was_said_first_holds_after_a_restart_and_a_reorganisation(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with ProviderState(path, DEPLOYMENT, "0xaa") as state:
        assert state.said.may_say(7, 1, "model", "a")
        assert state.said.may_say(7, 1, "model", "a")
        assert not state.said.may_say(7, 1, "model", "b")
        assert state.said.may_say(7, 1, "vote", "b")
        assert state.said.may_say(7, 2, "model", "b")
    with ProviderState(path, DEPLOYMENT, "0xaa") as state:
        state.ingest([(5, 0, "RequestCreated", {"request": 7})], 6, "0x6")
        state.ingest([], 6, "0x7", first=5)
        assert state.all_requests() == []
        assert not state.said.may_say(7, 1, "model", "b")


def test_what_was_heard_is_kept_once_until_the_request_is_over(tmp_path: Path) -> None:
    with ProviderState(tmp_path / "state.sqlite", DEPLOYMENT, "0xaa") as state:
        state.said.hear(7, 1, [("model", 0, "a"), ("model", 0, "a"), ("model", 0, "b")])
        state.said.hear(7, 2, [("vote", 1, "c")])
        kinds = ("model", "vote")
        assert state.said.heard(7, 1, kinds) == ["a", "b"]
        assert state.said.heard(7, 1, ["vote"]) == []
        state.said.forget(7)
        assert state.said.heard(7, 1, kinds) == state.said.heard(7, 2, kinds) == []


def test_a_model_named_for_any_start_is_known_as_own(tmp_path: Path) -> None:
    """After a void start the same model is named again, sealed under another key."""
    with ProviderState(tmp_path / "state.sqlite", DEPLOYMENT, "0xaa") as state:
        assert state.said.may_say(7, 1, "submission aa", "01" * 32)
        assert state.said.may_say(7, 1, "submission bb", "02" * 32)
        assert state.said.said(7, 1, "submission bb") == "02" * 32
        assert state.said.said(7, 2, "submission bb") is None
        known = [state.said.has_named(7, 1, bytes([one]) * 32) for one in (1, 2, 3)]
        assert known == [True, True, False]
        assert not state.said.has_named(7, 2, b"\1" * 32)
