"""Splitting a data set into folders: nothing is lost, repeated or half-written."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.data import splitting
from fedpact.data.readers import read_dataset
from fedpact.data.sources import TrainTestData
from fedpact.data.splitting import DataSplit, hold_out, split_into
from fedpact.errors import DataError
from fedpact.types.specification import RegressionOutput
from tests.support.specifications import specification


def images(examples=60):
    """Three labels; image i has the value i, so that it can be recognised."""
    x = np.repeat(np.arange(examples, dtype=np.uint8)[:, None], 2, axis=1)
    y = np.arange(examples) % 3
    return TrainTestData("images", x, y, x[:3], y[:3], ("a", "b", "c"), scale=2.0)


def engines(windows=5, count=8, public=()):
    """A regression whose examples come from `count` engines, `windows` from each."""
    n = windows * count
    x = np.arange(n, dtype=np.float32)[:, None]
    return TrainTestData(
        *("engines", x, x[:, 0] * 10, x[:2], x[:2, 0], (), 1.0),
        output=RegressionOutput(column="left", scale=100.0, cap=200.0),
        groups_train=np.repeat(np.arange(count), windows),
        group_names=tuple(f"e{number}" for number in range(count)),
        grouped_units=True,
        public_groups=public,
    )


SPEC = specification(features={"shape": [2], "scale": 2.0})


def test_each_training_example_is_in_exactly_one_file(tmp_path):
    out = tmp_path / "out"
    manifest = split_into(images(), DataSplit(4, "iid", seed=1), out)
    files = [entry["file"] for entry in (*manifest["providers"], manifest["evaluation"])]
    assert files == [*(f"provider-{n}/data.npz" for n in (1, 2, 3, 4)), "evaluation.npz"]
    held = [read_dataset(out / file, SPEC) for file in files]
    assert sorted(np.concatenate([part.x[:, 0] * 2 for part in held]).tolist()) == list(range(60))
    assert len({unit for part in held for unit in part.units}) == 60


def test_reading_back_gives_the_source(tmp_path):
    source = images()
    split_into(source, DataSplit(2, "class3", seed=0), tmp_path / "out")
    found = read_dataset(tmp_path / "out" / "provider-1" / "data.npz", SPEC)
    same = source.train_set((found.x[:, 0] * 2).astype(np.int64))
    assert np.array_equal(found.x, same.x)
    assert np.array_equal(found.y, same.y)
    test = read_dataset(tmp_path / "out" / "test.npz", SPEC)
    assert np.array_equal(test.x, source.test_set().x)


def test_engines_stay_whole_and_keep_their_units(tmp_path):
    source = engines()
    manifest = split_into(source, DataSplit(3, "group", seed=2, evaluation=0.2), tmp_path / "out")
    spec = specification(
        task="regression",
        labels=[],
        features={"shape": [1]},
        family={"name": "linear-regression", "parameters": {}},
        output=source.output.model_dump(),
    )
    units = []
    for entry in (*manifest["providers"], manifest["evaluation"]):
        found = read_dataset(tmp_path / "out" / entry["file"], spec)
        same = source.train_set(found.x[:, 0].astype(np.int64))
        assert (found.units, found.y.tolist()) == (same.units, same.y.tolist())
        assert len(set(found.units)) == entry["units"] == len(found) // 5
        units.extend(set(found.units))
    assert len(units) == len(set(units)) == 8
    assert manifest["units_at_several_providers"] == 0


def test_units_at_several_providers_are_counted(tmp_path):
    manifest = split_into(engines(), DataSplit(2, "iid", seed=0), tmp_path / "out")
    assert manifest["units_at_several_providers"] > 0


def test_the_manifest_says_how_the_files_were_made(tmp_path):
    manifest = split_into(images(), DataSplit(2, "class3", seed=7), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
    assert (manifest["seed"], manifest["partition"]) == (7, "class3")
    assert manifest["features"] == {"shape": [2], "scale": 2.0}
    assert manifest["providers"][0]["labels"] == {"a": 9, "b": 9, "c": 9}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    made = [
        split_into(images(), DataSplit(2, "dir1", seed), tmp_path / name)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert made[0] == made[1]
    assert made[0]["providers"] != made[2]["providers"]


@given(st.integers(0, 2**32), st.floats(0.06, 0.45))
def test_the_evaluation_set_has_every_label_equally_often(seed, share):
    source = images()
    private, evaluation = hold_out(source, share, seed)
    assert sorted([*private, *evaluation]) == list(range(60))
    assert np.bincount(source.y_train[evaluation]).tolist() == [round(share * 60 / 3)] * 3


@given(st.integers(0, 2**32), st.floats(0.05, 0.6))
def test_the_evaluation_set_takes_public_and_whole_engines_first(seed, share):
    source = engines(public=(2, 5))
    private, evaluation = hold_out(source, share, seed)
    assert sorted([*private, *evaluation]) == list(range(40))
    judged = set(source.groups_train[evaluation].tolist())
    assert judged >= {2, 5}
    assert not judged & set(source.groups_train[private].tolist())
    assert len(evaluation) >= share * 40


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 0.6, 0.01, float("nan")])
def test_an_evaluation_share_that_leaves_a_part_without_examples_is_refused(share):
    with pytest.raises(DataError, match="evaluation share"):
        hold_out(images(), share, 0)


def test_all_engines_for_the_evaluation_set_are_refused():
    with pytest.raises(DataError, match="leaves 0 examples to the providers"):
        hold_out(engines(), 0.99, 0)


def test_an_existing_folder_is_never_touched(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("precious")
    with pytest.raises(DataError, match="already exists"):
        split_into(images(), DataSplit(2, "iid", seed=0), out)
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_partition_with_one_label_at_a_provider_is_refused_unless_allowed(tmp_path):
    with pytest.raises(DataError, match="provider 1 has examples of only one label"):
        split_into(images(), DataSplit(3, "class1", seed=0), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    how = DataSplit(3, "class1", seed=0, allow_one_class=True)
    assert len(split_into(images(), how, tmp_path / "out")["providers"]) == 3


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_split_leaves_nothing(tmp_path, monkeypatch, failure):
    save = np.savez

    def fails_at_the_test_set(path, **arrays):
        assert not (tmp_path / "out").exists()
        if path.name == "test.npz":
            raise failure
        save(path, **arrays)

    monkeypatch.setattr(splitting.np, "savez", fails_at_the_test_set)
    with pytest.raises((KeyboardInterrupt, DataError)):
        split_into(images(), DataSplit(2, "iid", seed=0), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        split_into(images(), DataSplit(2, "iid", seed=0), tmp_path / "file" / "out")
