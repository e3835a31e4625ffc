"""Files of results: appended, torn or corrupt; of this case or another's."""

import json
from pathlib import Path

import pytest

from lab.errors import ExperimentError
from lab.harness import configuration, results
from lab.harness.checkpoint import Saved
from lab.harness.configuration import Case, Scale
from lab.harness.results import Result, ResultFolder
from tests.lab.little_study import TOML

OUTCOME = {"metrics": {"global_accuracy": 0.5}, "curves": {"global_accuracy": [0.25, 0.5]}}


def case_of(text: str = TOML) -> Case:
    return next(configuration.cases(configuration.parse("little", text), Scale.SMALL))


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path)


def test_a_result_is_read_as_it_was_written(folder: ResultFolder) -> None:
    case = case_of()
    result = Result.of(case, OUTCOME, 1.5)
    folder.write(case, result)

    assert folder.finished(case)
    assert folder.all() == [result]
    assert result.provenance["versions"]["fedpact"]
    assert result.privacy == {"mode": "none", "epsilon": None, "delta": None}


def test_a_result_of_other_settings_belongs_to_another_case(folder: ResultFolder) -> None:
    folder.write(case_of(), Result.of(case_of(), OUTCOME, 1.5))

    assert not folder.finished(case_of(TOML.replace("rounds = 3", "rounds = 4")))


@pytest.mark.parametrize("value", [1.01, -0.1, float("nan")])
def test_a_metric_outside_0_to_1_is_refused(value: float) -> None:
    with pytest.raises(ExperimentError, match=r"metric rmse is .* not from 0 to 1"):
        Result.of(case_of(), {"metrics": {"rmse": value}}, 1.0)


def test_a_ratio_may_be_above_1_but_not_below_0() -> None:
    found = Result.of(case_of(), {"metrics": {"rmse": 0.5}, "ratios": {"pay": 1.4}}, 1.0)
    assert found.metrics == {"rmse": 0.5, "pay": 1.4}
    with pytest.raises(ExperimentError, match=r"ratio pay is -0\.1"):
        Result.of(case_of(), {"metrics": {}, "ratios": {"pay": -0.1}}, 1.0)


def test_a_result_that_json_cannot_hold_leaves_nothing(folder: ResultFolder) -> None:
    bad = Result.of(case_of(), {**OUTCOME, "curves": {"loss": [float("inf")]}}, 1.0)
    with pytest.raises(ExperimentError, match="cannot be written"):
        folder.write(case_of(), bad)
    assert not [path for path in folder.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 1}', '{"version": 9}', "\x00"])
def test_a_corrupt_file_is_reported_with_what_to_do(folder: ResultFolder, content: str) -> None:
    path = folder.path(case_of())
    path.parent.mkdir(parents=True)
    path.write_text(content + "\n")

    with pytest.raises(ExperimentError, match="delete the line and run the experiment") as error:
        folder.finished(case_of())
    assert f"{path}, line 1" in str(error.value)


def test_a_part_of_the_wrong_type_is_corrupt(folder: ResultFolder) -> None:
    folder.write(case_of(), Result.of(case_of(), OUTCOME, 1.5))
    path = folder.path(case_of())
    path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": [1]}) + "\n")

    with pytest.raises(ExperimentError, match="is not a result"):
        results.read(path)


def test_a_torn_last_line_is_ignored_and_cut_off_by_the_next_write(tmp_path: Path) -> None:
    first, second = list(configuration.cases(configuration.parse("little", TOML), Scale.SMALL))
    killed = ResultFolder(tmp_path)
    killed.write(first, Result.of(first, OUTCOME, 1.5))
    whole = killed.path(first).read_bytes()
    killed.write(second, Result.of(second, OUTCOME, 2.5))
    full = killed.path(first).read_bytes()
    for length in (*range(len(whole), len(full), 9), len(full) - 1):
        killed.path(first).write_bytes(full[:length])

        again = ResultFolder(tmp_path)
        assert again.finished(first)
        assert not again.finished(second)
        again.write(second, Result.of(second, OUTCOME, 2.5))
        assert killed.path(first).read_bytes() == full


def test_a_line_of_a_skipped_case_is_no_result(folder: ResultFolder) -> None:
    """Earlier versions wrote them."""
    case = case_of()
    folder.write(case, Result.of(case, OUTCOME, 1.5))
    line = json.loads(folder.path(case).read_text())
    folder.path(case).write_text(json.dumps({**line, "skipped": "no data"}) + "\n")

    assert not ResultFolder(folder.folder.parent).finished(case)


def test_a_new_result_replaces_the_one_in_its_slot(tmp_path: Path) -> None:
    first, second = list(configuration.cases(configuration.parse("little", TOML), Scale.SMALL))
    folder = ResultFolder(tmp_path)
    folder.write(first, Result.of(first, OUTCOME, 3.5))
    folder.write(second, Result.of(second, OUTCOME, 2.5))
    folder.write(first, Result.of(first, OUTCOME, 1.5))

    assert [one.seconds for one in ResultFolder(tmp_path).all()] == [1.5, 2.5]
    assert len(folder.path(first).read_text().splitlines()) == 2


def test_a_second_run_on_a_locked_file_is_refused(tmp_path: Path) -> None:
    case, other = (
        case_of(),
        next(configuration.cases(configuration.parse("other", TOML), Scale.SMALL)),
    )
    folder = ResultFolder(tmp_path)
    with folder.locked([case]):
        with (
            pytest.raises(ExperimentError, match=r"little\.jsonl is in use by another run: wait"),
            ResultFolder(tmp_path).locked([other, case]),
        ):
            pass
        with ResultFolder(tmp_path).locked([other]):
            pass
    with ResultFolder(tmp_path).locked([case]):
        pass


def test_a_state_is_returned_only_to_its_own_case(folder: ResultFolder) -> None:
    saved = Saved(b"\x00state\n\xff", 2.5)
    folder.save(case_of(), saved)

    assert folder.resumed(case_of()) == saved
    assert folder.resumed(case_of(TOML.replace("rounds = 3", "rounds = 4"))) is None
    folder.write(case_of(), Result.of(case_of(), OUTCOME, 1.5))
    assert folder.resumed(case_of()) is None


def test_a_corrupt_state_is_reported_with_what_to_do(folder: ResultFolder) -> None:
    folder.save(case_of(), Saved(b"", 1.0))
    path = next(folder.folder.rglob("*.checkpoint"))
    path.write_bytes(b"\x00\x01")

    with pytest.raises(ExperimentError, match="corrupt: delete it"):
        folder.resumed(case_of())
