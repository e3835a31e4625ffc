"""Run with `pytest` once the package is installed (`pip install -e .`)."""

from pathlib import Path

import numpy as np
import pytest
from fedpact_text_transformer import TextTransformer, bucket

from fedpact import Draft, check_family
from fedpact.errors import SpecificationError

DRAFT = Draft.read(Path(__file__).parents[1] / "draft.toml")


@pytest.mark.parametrize("layers", [1, 2])
def test_the_family_keeps_what_it_promises(layers: int) -> None:
    parameters = {"words": 8, "bits": 6, "width": 4, "heads": 2, "layers": layers}
    family = {"name": "text-transformer", "parameters": parameters}
    found = check_family(DRAFT.changed(family=family).specification)
    assert [one for one in found if not one.passed] == []


def test_a_text_becomes_the_buckets_of_its_first_words() -> None:
    spec = DRAFT.changed(
        family={"name": "text-transformer", "parameters": {"words": 3, "bits": 8}}
    ).specification
    texts = np.array(["A tide, a cloud", "", "_tide_"], dtype=object)
    a, tide = 1 + bucket("a", 8), 1 + bucket("tide", 8)
    found = TextTransformer().represented(spec, texts)
    assert found.tolist() == [[a, tide, a], [0, 0, 0], [tide, 0, 0]]
    assert TextTransformer().represented(spec, found) is found


def test_an_empty_text_has_a_prediction_and_the_words_after_a_text_count_for_nothing() -> None:
    spec = DRAFT.specification
    model = TextTransformer().initial(spec, seed=1)
    texts = np.array(["", "tide and cloud"], dtype=object)
    found = TextTransformer().predict(spec, model, texts)
    assert np.isfinite(found).all()
    shorter = DRAFT.changed(
        family={
            "name": "text-transformer",
            "parameters": {**spec.family.parameters, "words": 3},
        }
    ).specification
    cut = {**model, "places.weight": model["places.weight"][:3]}
    assert TextTransformer().predict(shorter, cut, texts) == pytest.approx(found, rel=1e-5)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    family = {"name": "text-transformer", "parameters": {"width": 9, "heads": 2}}
    with pytest.raises(SpecificationError, match="2 heads do not divide width 9"):
        DRAFT.changed(family=family).specification  # noqa: B018
