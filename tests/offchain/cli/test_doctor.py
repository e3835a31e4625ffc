"""`fedpact data doctor`: what it prints and writes, and what it keeps to itself."""

import json
from pathlib import Path

import pytest

from fedpact.types.schema import DataSchema
from tests.offchain.cli.commandline import Cli
from tests.support.exports import ROWS, maintenance_export


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return maintenance_export(tmp_path)


@pytest.mark.parametrize("form", ["print", "json"])
def test_no_cell_and_no_label_is_printed(own: Path, cli: Cli, form: str) -> None:
    text = own.read_text(encoding="utf-8-sig") + "\n"
    own.write_text(text.replace(";0\n", ";Heil\n").replace(";1\n", ";Bruch\n"), encoding="utf-8")
    result = cli("data", "doctor", own, "--unit", "Maschine", *(["--json"] * (form == "json")))
    assert result.code == 0
    for secret in ("Heil", "Bruch", "Lübeck", "M-1", "03.2024", "nein", "°C, "):
        assert secret not in result.out + result.err
    if form == "json":
        said = json.loads(result.out)
        assert (said["examples"], said["schema"]) == (ROWS, f"{own}.schema.toml")
    schema = DataSchema.read(Path(f"{own}.schema.toml"))
    assert (schema.category, schema.labels) == ("werk", ("Bruch", "Heil"))


def test_a_question_that_is_open_is_asked_and_nothing_is_written(own: Path, cli: Cli) -> None:
    own.write_text("patient,age,result\n" + "a,31.5,x\nb,40.5,y\n" * 4)
    result = cli("data", "doctor", own)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "which column is the label" in result.err
    assert "what one privacy unit is" in result.err
    assert not Path(f"{own}.schema.toml").exists()


def test_a_comma_that_may_mean_two_things_is_asked_about(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "own.csv"
    path.write_text("a;label\n1,234;x\n5,678;y\n")
    result = cli("data", "doctor", path)
    assert (result.code, "a comma or point" in result.err) == (4, True)
    assert "1,234" not in result.err
    assert cli("data", "doctor", path, "--decimal", ",", "--unit", "record").code == 0
    assert DataSchema.read(Path(f"{path}.schema.toml")).columns[0].range == (1.2, 5.7)


def test_data_are_checked_against_a_schema_that_exists(own: Path, cli: Cli) -> None:
    assert cli("data", "doctor", own, "--unit", "Maschine").code == 0
    before = Path(f"{own}.schema.toml").read_text()
    own.write_bytes(own.read_bytes().replace(b";0\r\n", b";2\r\n", 7))
    result = cli("data", "doctor", own, "--json")
    said = json.loads(result.out)
    assert (result.code, said["undeclared_labels"], said["declared_units"]) == (0, 7, 40)
    assert "Alarm" in said["columns_not_used"]
    assert cli("data", "doctor", own, "--unit", "record").code == 2
    assert Path(f"{own}.schema.toml").read_text() == before
