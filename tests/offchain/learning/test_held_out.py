"""Own records that judge models are not trained on."""

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents
from fedpact.errors import DataError
from fedpact.learning.held_out import EVERY, judged_on, trained_on
from fedpact.types.specification import JudgedOn
from tests.support.specifications import specification

LAPLACE = {"mode": "paper", "mechanism": "laplace", "epsilon": 10.0, "sensitivity": 1.0}
OWN = {"judged_on": "own-records", "score": "model", "privacy": LAPLACE}


def dataset(units: int, each: int = 2) -> Dataset:
    """Examples that count from 0; `each` of them in a row belong to one unit."""
    count = units * each
    names = tuple(bytes([number // each]) * 32 for number in range(count))
    return Dataset(np.arange(count, dtype=np.float32).reshape(-1, 1), np.arange(count) % 3, names)


def test_whole_units_judge_and_the_others_train() -> None:
    data, spec = dataset(10), specification(**OWN)
    trains, judges = trained_on(spec, data), judged_on(data)
    assert len(trains) + len(judges) == len(data)
    assert not set(trains.units) & set(judges.units)
    assert len(set(judges.units)) == 10 // EVERY
    assert sorted([*trains.x[:, 0], *judges.x[:, 0]]) == list(range(20))
    assert (judges.y == judges.x[:, 0].astype(int) % 3).all()


def test_without_it_all_records_train() -> None:
    data = dataset(10)
    assert trained_on(specification(), data) is data


TEXTS = {"shape": [], "kind": "text"}
QUERIES = ["a bearing with vibration", "pressure leak at a valve"]


def texts(*pairs: tuple[str, int]) -> Dataset:
    names = tuple(bytes([number]) * 32 for number in range(len(pairs)))
    return Dataset(documents([text for text, _ in pairs]), np.array([y for _, y in pairs]), names)


def test_published_queries_are_trained_on_with_the_answers_of_the_own_records() -> None:
    """D^T = <f_x, f_x(D)>: two members with other records answer the same query differently."""
    family = {"name": "decision-tree", "parameters": {"bits": 11}}
    spec = specification(
        features=TEXTS,
        family=family,
        local={"construction_seed": 0},
        aggregation={"name": "union"},
        score="model",
        privacy=LAPLACE,
        published_queries=QUERIES,
    )
    one = texts(("valve leak, pressure low", 1), ("bearing shakes, vibration", 0), ("calm", 2))
    other = texts(("valve leak, pressure low", 2), ("bearing shakes, vibration", 2))
    found = trained_on(spec, one)
    assert found.x.tolist() == [*one.x.tolist(), *QUERIES]
    assert found.y.tolist() == [1, 0, 2, 0, 1]
    assert found.units[3:] == (one.units[1], one.units[0]), "of the record that answered"
    assert trained_on(spec, other).y.tolist() == [2, 2, 2, 2]
    both = trained_on(spec.model_copy(update={"judged_on": JudgedOn.OWN_RECORDS}), one)
    assert len(both) == 3 + len(QUERIES), "the first three of four records train"


def test_too_few_records_are_refused() -> None:
    with pytest.raises(DataError, match="3 records: models are to be judged on one in 4"):
        judged_on(dataset(3, each=1))
