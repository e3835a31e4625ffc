"""The suite's schedule, and a short episode of one minute."""

import time
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from fedpact.types.requests import Phase
from tests.chaos.moved_clock import HEARD_SECONDS, moved
from tests.chaos.play import play
from tests.chaos.schedule import KINDS, Strike, brief, episodes
from tests.chaos.strikes import Striker
from tests.chaos.world import ChaosWorld


def test_a_request_outlives_what_a_minute_of_chaos_does(tmp_path: Path) -> None:
    lines: list[str] = []
    result = play(brief(1), tmp_path, lines.append)
    assert not result.failed, "\n".join([*result.verdict.problems, *result.ended, *lines])
    assert result.kills >= 1  # a member that sends nothing is not killed after sending
    assert len(result.injected) >= 5


def test_the_same_seed_gives_the_same_faults() -> None:
    assert [*islice(episodes(7), 5)] == [*islice(episodes(7), 5)]
    assert [*islice(episodes(7), 5)] != [*islice(episodes(8), 5)]


def test_a_run_of_some_episodes_has_every_kind_of_fault() -> None:
    strikes = [one for episode in islice(episodes(1), 8) for one in episode.strikes]
    assert {one.kind.name for one in strikes} >= set(KINDS)
    kills = [one for one in strikes if one.kind.name == "kill"]
    assert len(kills) >= 100


def test_records_that_are_damaged_twice_come_back_whole(tmp_path: Path) -> None:
    records = tmp_path / "records.csv"
    records.write_bytes(b"whole")
    fired: list[str] = []
    world = SimpleNamespace(
        actors=[SimpleNamespace(weather=SimpleNamespace(disarm=lambda: None))],
        data=SimpleNamespace(files=[records]),
        fired=lambda kind: fired.append(kind.name),
    )
    for names in (["truncated", "truncated"], ["removed", "truncated"], ["truncated", "removed"]):
        striker = Striker(cast(ChaosWorld, world))
        for name in names:
            striker.strike(Strike(0, 1, Phase.SUBMIT, 0.0, KINDS[f"records {name}"], 0))
        assert fired.pop() == f"records {names[0]}"
        striker.close()
        assert records.read_bytes() == b"whole"
    assert not fired


def test_a_daemon_can_be_told_that_its_clock_is_wrong(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("600")
    wrong = moved(clock, time.time_ns)
    assert 599 < (wrong() - time.time_ns()) / 1e9 < 601
    clock.write_text("-600")
    time.sleep(2 * HEARD_SECONDS)
    assert -601 < (wrong() - time.time_ns()) / 1e9 < -599
