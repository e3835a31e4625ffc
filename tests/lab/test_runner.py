"""Cases over processes: each runs once, resumes after an interruption and ends cleanly."""

import multiprocessing
from pathlib import Path

import pytest

from lab.harness import configuration
from lab.harness.checkpoint import Progress, Saved
from lab.harness.configuration import Case, Device, Scale
from lab.harness.results import ResultFolder
from lab.harness.runner import Found, Observe, Processes, Summary, run
from lab.harness.worker import Event
from tests.lab.little_study import TOML


def cases_of(text: str = TOML) -> list[Case]:
    return list(configuration.cases(configuration.parse("little", text), Scale.SMALL))


def go(
    folder: Path, cases: list[Case], observe: Observe = lambda _, __: None, every: float = 0.0
) -> Summary:
    return run(cases, ResultFolder(folder), Processes(2, every), observe)


def test_finished_cases_are_not_run_again(tmp_path: Path) -> None:
    first = go(tmp_path, cases_of())
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
    seen: list[Event | Found] = []
    second = go(tmp_path, cases_of(), lambda _, event: seen.append(event))

    assert len(first.finished) == len(second.before) == 2
    assert seen == [Found(), Found()]
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}


def test_a_case_whose_process_died_resumes_from_its_last_round(tmp_path: Path) -> None:
    text = TOML.replace("rounds = 3", "rounds = 6\ndie = 4")
    first = go(tmp_path, cases_of(text))
    second = go(tmp_path, cases_of(text))
    undisturbed = tmp_path / "undisturbed"
    go(undisturbed, cases_of(text.replace("die", "live")))

    assert [failed.reason for _, failed in first.failed] == ["its process ended with code 7"] * 2
    resumed, whole = ResultFolder(tmp_path).all()[:2], ResultFolder(undisturbed).all()
    assert len(second.finished) == 2
    assert {one.details["resumed_at"] for one in resumed} == {4}
    assert [one.curves for one in resumed] == [one.curves for one in whole]
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_an_interrupted_run_stops_its_processes_and_resumes(tmp_path: Path) -> None:
    def interrupt(_: Case, event: Event | Found) -> None:
        if isinstance(event, Saved):
            raise KeyboardInterrupt

    text = TOML.replace("rounds = 3", "rounds = 20\npause = 0.1")
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, cases_of(text), interrupt)

    assert not multiprocessing.active_children()
    assert list(tmp_path.rglob("*.checkpoint"))
    assert not list(tmp_path.rglob("*.jsonl"))
    assert len(go(tmp_path, cases_of(text)).finished) == 2
    assert max(one.details["resumed_at"] for one in ResultFolder(tmp_path).all()) > 0


def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    text = TOML + (
        "[methods.wrong]\nsettings = { fail = true }\n[methods.bug]\nsettings = { bug = true }\n"
        "[methods.absent]\nsettings = { absent = true }\n"
    )
    summary = go(tmp_path, [case for case in cases_of(text) if case.seed == 0])

    assert [case.method for case in summary.finished] == ["plain"]
    assert [(case.method, why) for case, why in summary.skipped] == [
        ("absent", "little: no such data")
    ]
    assert [one.case["method"] for one in ResultFolder(tmp_path).all()] == ["plain"]
    failed = {case.method: one for case, one in summary.failed}
    assert failed["wrong"].reason == "little: failed as asked"
    assert not failed["wrong"].trace
    assert failed["bug"].reason == "RuntimeError: little: a bug"
    assert "little_study.py" in failed["bug"].trace


def test_progress_is_reported_by_round(tmp_path: Path) -> None:
    seen: list[Event | Found] = []
    go(tmp_path, cases_of()[:1], lambda _, event: seen.append(event), every=60.0)

    told = [event for event in seen if isinstance(event, Progress)]
    assert told == [Progress(1, 3), Progress(2, 3), Progress(3, 3)]
    assert sum(isinstance(event, Saved) for event in seen) == 1


@pytest.mark.slow
def test_a_local_ray_cluster_runs_what_processes_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    from lab.harness.cluster import LOCAL, RayWorkers

    text = TOML + "[methods.wrong]\nsettings = { fail = true }\n[methods.dies]\nsettings.die = 2\n"
    workers = RayWorkers(LOCAL, Device.CPU, size=2, every=0.0)
    summary = run(cases_of(text), ResultFolder(tmp_path / "ray"), workers, lambda _, __: None)
    go(tmp_path / "processes", cases_of())

    assert len(summary.finished) == 2
    reasons = sorted(failed.reason for _, failed in summary.failed)
    assert reasons[0].startswith("its task ended")
    assert reasons[2] == "little: failed as asked"
    curves = [one.curves for one in ResultFolder(tmp_path / "ray").all()]
    assert curves == [one.curves for one in ResultFolder(tmp_path / "processes").all()]
