"""A request made from a draft: slices sealed, first model built, specification complete.

A draft and an evaluation set give the same bytes each time, so that creating a request can be
continued after an interruption instead of being repeated.
"""

import logging
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fedpact.errors import InvalidInput
from fedpact.requester.first_model import first_model
from fedpact.requester.slices import SealedSlice, cut, seal_slices
from fedpact.types.cid import Cid
from fedpact.types.metric import BALANCED_ACCURACY, are_skewed
from fedpact.types.specification import EvaluationSlice, Specification

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys
    from fedpact.content.store import ContentStore
    from fedpact.data.dataset import Dataset
    from fedpact.data.readers.records import Records
    from fedpact.data.readers.table import Table
    from fedpact.requester.draft import Draft

    Evaluation = Dataset | Path | Table | Records
    """An evaluation set as the training takes it, its file, a table, or arrays not scaled yet."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedRequest:
    """Everything that goes into the content store before the request goes on chain."""

    specification: Specification
    initial_model: bytes
    slices: tuple[SealedSlice, ...]

    @property
    def contents(self) -> tuple[bytes, ...]:
        """The bytes to store; the specification last, after everything that it names."""
        sealed = (part.ciphertext for part in self.slices)
        return (self.initial_model, *sealed, self.specification.encode())


def prepare(
    draft: "Draft",
    evaluation: "Dataset",
    keys: "AccountKeys",
    *,
    queries: bytes | None = None,
    store: "ContentStore | None" = None,
) -> PreparedRequest:
    """Cut and seal the evaluation set, build the first model, and complete the specification.

    `queries`: the file that the model is to answer; only its digest is published. `store`: where a
    first model that the draft names by its CID is.
    Raises what `Draft.specification` and `first_model` raise, and DataError where `cut` refuses the
    evaluation set, or the family cannot take an example or judge by a slice.
    """
    from fedpact.learning import artefact, families

    blank = judged_fairly(draft.specification, evaluation)
    family = families.family_of(blank)
    family.check_examples(blank, evaluation.x)
    first = first_model(draft, blank, store)
    initial = artefact.encode(first)
    parts = cut(blank, evaluation, keys)
    family.check_slice(blank, first, parts[0].x, parts[0].y)
    sealed = seal_slices(parts, keys)
    listed = tuple(
        EvaluationSlice(cid=str(part.cid), sha256=part.sha256, examples=part.examples)
        for part in sealed
    )
    specification = blank.model_copy(
        update={
            "evaluation": listed,
            "initial_model": str(Cid.of(initial)),
            "queries": sha256(queries).hexdigest() if queries is not None else None,
        }
    )
    # Decoding checks the finished document against its own schema and size limit.
    return PreparedRequest(Specification.decode(specification.encode()), initial, sealed)


def judged_fairly(spec: Specification, evaluation: "Dataset") -> Specification:
    """The specification with balanced accuracy as its metric, where it names none, its family is
    judged by labels, and the evaluation set's labels are skewed. Accuracy would prefer a model that
    never names the rarest label."""
    from fedpact.learning.families import family_of

    if spec.metric is not None or not spec.labels or not family_of(spec).balanced:
        return spec
    counts = np.bincount(evaluation.y, minlength=len(spec.labels))
    if not are_skewed(counts.tolist()):
        return spec
    log.warning(
        "label %r has %d of %d evaluation examples: models are judged by %s, since the draft names "
        "no metric",
        spec.labels[int(counts.argmin())],
        counts.min(),
        len(evaluation),
        BALANCED_ACCURACY,
    )
    return spec.model_copy(update={"metric": BALANCED_ACCURACY})


def read_evaluation(
    draft: "Draft", evaluation: "Evaluation", label: str | None = None
) -> "tuple[Draft, Dataset]":
    """The evaluation set as the draft asks for it, and the draft with the columns of a table that
    it does not name itself. `label`: a table's column of labels; None: `label`.

    Raises DataError, and what `Draft.specification` raises.
    """
    from fedpact.data import readers
    from fedpact.data.dataset import Dataset
    from fedpact.data.readers.table import Table

    if isinstance(evaluation, Dataset):
        return draft, evaluation
    column = label or readers.LABEL_COLUMN
    if isinstance(evaluation, Path):
        draft = draft.with_columns_of(evaluation, column)
        return draft, readers.read_dataset(evaluation, draft.specification, column)
    if isinstance(evaluation, Table):
        draft = draft.with_columns_of(evaluation, column)
        return draft, readers.table_dataset(evaluation, draft.specification, column)
    return draft, readers.records_dataset(Path(evaluation.format), evaluation, draft.specification)


def read_bytes(queries: Path) -> bytes:
    """Of a file of queries; InvalidInput if it cannot be read."""
    try:
        return queries.read_bytes()
    except OSError as error:
        raise InvalidInput(f"queries {queries}: {error.strerror}") from error
