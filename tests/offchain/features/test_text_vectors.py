from importlib.util import find_spec

import numpy as np
import pytest

from fedpact.errors import DataError
from fedpact.features.text import word_vectors

INSTALLED = find_spec(word_vectors.PACKAGE) is not None and find_spec("pyarrow") is not None


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="the extra [text] is not installed")
def test_texts_about_similar_things_have_similar_vectors() -> None:
    rows = word_vectors.dense_rows(
        ["engine brakes car", "car engine", "orbit rocket moon", "zzqqxj"]
    )
    likeness = rows @ rows.T
    np.testing.assert_allclose(np.diag(likeness), [1, 1, 1, 0], atol=1e-5)
    assert likeness[0, 1] > 0.5 > likeness[0, 2]


def test_a_table_that_is_missing_or_not_the_pinned_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(word_vectors, "PACKAGE", "fedpact")
    with pytest.raises(DataError, match="word vectors"):
        word_vectors._table()
