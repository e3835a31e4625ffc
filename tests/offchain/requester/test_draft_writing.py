"""A proposed draft, written to a file, asks for what was proposed."""

from pathlib import Path
from typing import Any

import pytest

from fedpact.data.schema_draft import as_toml as schema_toml
from fedpact.demo import plant_data
from fedpact.requester.candidates import candidates
from fedpact.requester.draft import Draft
from fedpact.requester.draft_writing import COMMENTS, as_toml
from fedpact.requester.usual_terms import windows
from fedpact.types.schema import DataSchema

TABLE = plant_data.schema(100, "0" * 32)
IMAGES = DataSchema(
    data_id="0" * 32,
    category="images/shapes",
    units=100,
    labels=("0", "1"),
    shape=(3, 16, 12),
    value_range=(0.0, 255.0),
)


@pytest.mark.parametrize(
    ("schema", "output"),
    [(TABLE, None), (TABLE, "torque"), (IMAGES, None)],
    ids=["table", "value", "images"],
)
def test_a_written_draft_is_the_proposed_one(
    tmp_path: Path, schema: DataSchema, output: Any
) -> None:
    declared = tmp_path / "of-plants" / "schema.toml"
    declared.parent.mkdir()
    declared.write_text(schema_toml(schema))
    for candidate in candidates(schema, 2.0, output):
        fields = {**candidate.fields, "windows": windows(2.0, 1, 0.5)}
        file = tmp_path / "draft.toml"
        file.write_text(as_toml(fields, file, declared if schema.is_table else None))
        found = Draft.read(file)
        assert found.specification == Draft(fields).specification
        schema.check(found.specification)
        lines = file.read_text().splitlines()
        said = [name for name in fields if any(one.endswith(COMMENTS[name]) for one in lines)]
        assert said == list(fields)


def test_images_may_be_learnt_on_features() -> None:
    assert [one.family for one in candidates(IMAGES, 2.0)] == [
        "softmax-regression",
        "scattering-linear",
        "network-linear",
    ]
    odd = IMAGES.model_copy(update={"shape": (3, 15, 12)})
    assert len(candidates(odd, 2.0)) == 1


def test_windows_hold_the_chains_blocks_and_a_rounds_training() -> None:
    assert windows(1.0, 1, 0.1)["submit"] == 120
    assert windows(1.0, 1, 20.5)["submit"] == 660
    assert windows(1.0, 1, 0.1, 20.5)["submit"] == 240
    assert windows(1.0, 1, 0.1, judging=20.5)["commit"] == 240
    slow = windows(12.0, 60, 0.1)
    assert slow["join"] == 600
    assert slow["start"] == 60
    assert windows(30.0, 60, 0.1)["reveal"] == 150
    assert min(windows(1.0, 300, 0.1).values()) == 300
