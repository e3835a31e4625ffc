"""`fedpact data`: describing one's own data and cutting public sets."""

import json
import re
from pathlib import Path

import pytest

from tests.offchain.cli.commandline import Cli


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text("u,v,label\n1,2,a\n3,4,b\n5,6,b\n")
    return path


def test_a_description_separates_published_from_private_facts(cli: Cli, own: Path) -> None:
    result = cli("data", "describe", own, "--category", "things")
    assert result.code == 0
    published, private = result.out.split("Private, stays on this machine:")
    assert "things" in published
    assert "a: 1, b: 2" in private
    assert "a: 1" not in published


def test_a_description_as_json(cli: Cli, own: Path) -> None:
    result = cli("data", "describe", own, "--category", "things", "--json")
    found = json.loads(result.out)
    assert found["published"]["size"] == 3
    assert found["private"]["histogram"] == {"a": 1, "b": 2}


def test_a_regression_is_described_by_its_output(cli: Cli, own: Path) -> None:
    own.write_text("u,left\n1,10\n2,30\n3,70\n")
    result = cli("data", "describe", own, "--category", "things", "--output", "left")
    assert "10 to 70, median 30" in result.out


def test_a_single_label_is_noted(cli: Cli, own: Path) -> None:
    own.write_text("u,label\n1,a\n2,a\n")
    assert "only one label" in cli("data", "describe", own, "--category", "things").out


def test_data_that_cannot_be_read_exits_with_code_four(cli: Cli, own: Path) -> None:
    own.write_text("u,label\n1,a\nx,b\n")
    result = cli("data", "describe", own, "--category", "things")
    assert result.code == 4
    assert "own.csv: example 2" in result.err
    assert len(result.err.splitlines()) == 1


def test_labels_and_outputs_at_once_are_refused(cli: Cli, own: Path) -> None:
    both = ("--label", "label", "--output", "u")
    assert cli("data", "describe", own, "--category", "things", *both).code == 2


def test_digits_are_split_into_folders_that_can_be_described(cli: Cli, tmp_path: Path) -> None:
    made = cli(
        *("data", "split", "digits", "--providers", 4, "--partition", "class5"),
        *("--seed", 3, "--output", tmp_path / "trial", "--json"),
    )
    assert made.code == 0
    manifest = json.loads(made.out)
    assert [len(one["labels"]) for one in manifest["providers"]] == [5] * 4
    path = tmp_path / "trial" / manifest["providers"][0]["file"]
    said = json.loads(cli("data", "describe", path, "--category", "digits", "--json").out)
    assert said["private"]["histogram"] == manifest["providers"][0]["labels"]


def test_an_existing_folder_is_refused_before_anything_is_read(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    result = cli(
        *("data", "split", "mnist", "--providers", 4, "--partition", "iid"),
        *("--output", tmp_path / "trial"),
    )
    assert result.code == 4
    assert "already exists" in result.err


@pytest.mark.parametrize(
    ("source", "partition", "said"),
    [
        ("minst", "iid", "no data set 'minst'"),
        ("mnist", "iid", "set FEDPACT_DATA"),
        ("digits", "random", "no partition 'random'"),
        ("digits", "class3", "cannot be split across"),
        ("digits", "group", "the data set has no groups"),
    ],
)
def test_a_split_that_fails_exits_with_code_four_and_leaves_nothing(
    cli: Cli, tmp_path: Path, source: str, partition: str, said: str
) -> None:
    result = cli(
        *("data", "split", source, "--providers", 4, "--partition", partition),
        *("--output", tmp_path / "trial"),
    )
    assert result.code == 4
    assert said in result.err
    assert list(tmp_path.iterdir()) == []


def test_texts_are_described_by_their_length_and_not_by_their_words(
    cli: Cli, tmp_path: Path
) -> None:
    for label, name, text in [("sea", "1", b"a tide"), ("sky", "2", b"caf\xe9"), ("sky", "3", b"")]:
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / name).write_bytes(text)
    result = cli("data", "describe", tmp_path, "--category", "texts")
    assert result.code == 0
    published, private = result.out.split("Private, stays on this machine:")
    assert "text" in published
    assert "0 to 6" in private
    assert "sea: 1, sky: 2" in private
    assert "tide" not in result.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\n", "no examples"),
        ("label\nsea\n", "there are only labels"),
        ("text,label,unit\na tide,sea,1\n", "each text is a unit"),
    ],
)
def test_texts_that_cannot_be_read_exits_with_code_four_and_one_line(
    cli: Cli, own: Path, content: str, said: str
) -> None:
    own.write_text(content)
    result = cli("data", "describe", own, "--category", "texts")
    assert result.code == 4
    assert re.search(said, result.err)
    assert len(result.err.strip().splitlines()) == 1
