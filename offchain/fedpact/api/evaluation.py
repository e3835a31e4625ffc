"""An evaluation set as a program holds it, for a draft."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedpact.data.dataset import Dataset
from fedpact.data.documents import documents
from fedpact.data.frames import frame_table, is_frame, is_series
from fedpact.data.readers.npz import array_records
from fedpact.data.readers.records import Records, label_name
from fedpact.data.readers.texts import text_records
from fedpact.errors import DataError
from fedpact.requester.preparing import read_evaluation

if TYPE_CHECKING:
    from fedpact.requester.draft import Draft


def evaluation_of(draft: "Draft", given: Any, label: str | None) -> "tuple[Draft, Dataset]":
    """The draft with the columns that it asks for, and the examples in the form that the training
    takes. `given`: a data frame, a file, or (x, y). Raises DataError, SpecificationError."""
    if label is not None and not isinstance(label, str):
        raise DataError(f"label: the name of a column is needed, not {label!r}")
    if is_frame(given):
        return read_evaluation(draft, frame_table(given), label)
    if isinstance(given, str | Path):
        return read_evaluation(draft, Path(given), label)
    if isinstance(given, tuple) and len(given) == 2:
        return read_evaluation(draft, _records(*given), label)
    raise DataError(
        f"evaluation: a data frame, the path of a file, or (x, y) is needed, not {type(given)}"
    )


def _records(x: Any, y: Any) -> Records:
    if is_frame(x):
        raise DataError(
            "evaluation: x is a data frame: give the frame with its column of labels, not (x, y)"
        )
    labels = [label_name(one) for one in _listed(y)]
    examples = _listed(x)
    if examples and isinstance(examples[0], str):
        if len(examples) != len(labels):
            raise DataError(f"evaluation: {len(examples)} texts and {len(labels)} labels")
        return text_records("arrays", [str(one) for one in documents(examples)], labels)
    return array_records(Path("evaluation"), "arrays", np.asarray(x), np.array(labels), None)


def _listed(given: Any) -> Sequence[Any]:
    if is_series(given):
        return list(given.to_list())
    return list(given.tolist() if isinstance(given, np.ndarray) else given)
