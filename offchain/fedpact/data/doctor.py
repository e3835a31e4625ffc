"""Looks at a provider's data before anything is declared or sent: what they seem to be, what would
go wrong with them, and a draft of their schema. Nothing that it says shows a cell or a label."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from fedpact.data.column_inference import RARE, SeenColumn, look_at, moments
from fedpact.data.readers import LABEL_COLUMN, pictures, read_table, read_unchecked
from fedpact.data.readers.cells import is_missing, numbers
from fedpact.data.readers.records import Records
from fedpact.data.readers.table import TEXT_COLUMN, UNIT_COLUMN, Table, listed
from fedpact.data.schema_draft import propose
from fedpact.errors import DataError
from fedpact.types.layout import FileLayout
from fedpact.types.metric import are_skewed
from fedpact.types.names import label_key
from fedpact.types.schema import RECORD, DataSchema
from fedpact.types.series import Series

LABEL_NAMES = ("label", "class", "target", "y", "outcome", "diagnosis", "failure", "species")
OUT = "do not count; an evaluation set must leave them out"
FLAG_VALUES = 5
"""A column with at most as many different values may be a flag that is set after the outcome."""
TELLING = 20
"""With fewer examples it is chance that they, or those with one value, have one label."""
MANY_WORDS = 10
MANY_ROWS = 10
"""Of a unit, from which on they may be a time series."""
_GROUP = re.compile(
    r"(^|[\W_])(unit|engine|machine|device|sensor|asset|serial|patient|person|subject|user|customer|"
    r"client|account|site|plant|batch|lot|session|writer|author|group|id)s?($|[\W_\d])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Diagnosis:
    """What a file or folder seems to hold. `schema` is what would be public; the rest is private,
    but shows no cell."""

    format: str
    layout: dict[str, Any]
    """How a text file or workbook writes its table; empty for others."""
    examples: int
    shape: tuple[int, ...]
    """Of an example of arrays or images; empty for tables and texts."""
    columns: tuple[SeenColumn, ...]
    label: str | None
    """Column of labels or of a regression's values."""
    classes: tuple[int, ...]
    """Examples of each label, largest first; empty for a regression."""
    unlabelled: int
    duplicates: int
    """Examples that are equal to an earlier one in everything."""
    groups: tuple[str, ...]
    """Columns whose entries several rows share: one of them may name the privacy unit."""
    warnings: tuple[str, ...]
    undecided: tuple[str, ...]
    """What the owner has to say before a schema can be drafted."""
    schema: DataSchema | None


@dataclass(frozen=True)
class Choices:
    """What the owner says about a file; what is left out is proposed."""

    category: str
    label: str | None = None
    output: str | None = None
    """The column that a regression predicts, in place of `label`."""
    unit: str | None = None
    """Column that names privacy units, or `record`."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of a text file's numbers."""


def diagnose(path: Path, choices: Choices) -> Diagnosis:
    """Look at a file or folder. Raises DataError for one that cannot be read for certain."""
    table = None if path.is_dir() else read_table(path, decimal=choices.decimal)
    if table is None or pictures.listed_column(table) or _holds_documents(table, choices):
        return _of_records(path, choices)
    if not len(table):
        raise DataError(f"data {path}: no examples")
    return _of_table(path, table, choices)


def _of_table(path: Path, table: Table, choices: Choices) -> Diagnosis:
    warnings, undecided = [], []
    label = choices.output or choices.label or _label_column(table)
    if label is None:
        undecided.append(
            "which column is the label (--label COLUMN), or which number is predicted "
            "(--output COLUMN)"
        )
    elif label not in table.header:
        table.cells(label)
    regression = choices.output is not None
    answers = [] if label is None else [label_key(cell) for cell in table.cells(label)]
    names = [name for name in table.header if name not in (label, table.index, choices.unit)]
    seen = [look_at(table, name) for name in names]
    if label is not None:
        seen = [_without_leak(table, one, label, regression) for one in seen]
    unit = choices.unit or (UNIT_COLUMN if UNIT_COLUMN in table.header else None)
    groups = () if unit else _groups(table, seen)
    series = None if unit in (None, RECORD) else _series(table, seen, unit)
    if unit is None:
        undecided.append(
            "what one privacy unit is: --unit COLUMN where rows with the same entry belong to one "
            "person or machine, --unit record where each row stands for another"
        )
    if not table.layout.header:
        warnings.append(
            "the first line does not name the columns: they are column_1, column_2, ..."
        )
    if table.index is not None:
        warnings.append(f"column {table.index!r} only numbers the rows and is not used")
    for one in seen:
        if one.note:
            warnings.append(f"column {one.name!r} is not proposed: {one.note}")
        elif one.type == "constant":
            warnings.append(f"column {one.name!r} has the same value everywhere")
        elif one.rare:
            warnings.append(
                f"column {one.name!r}: {one.rare} values have fewer than {RARE} examples and are "
                "not named"
            )
        warnings += _of_odd_numbers(one) + _of_cases(table, one)
    warnings += _of_names(table.header)
    if series is not None:
        order = "as they are in the file" if series.order is None else f"by {series.order!r}"
        warnings.append(
            f"rows of one {unit!r} follow one another, {order}: the draft lets requests ask for "
            "windows of them ([series])"
        )
    duplicates = len(table) - len(set(zip(*table.columns, strict=True)))
    classes, unlabelled, said = _classes(table, label, answers, regression)
    warnings += said
    warnings += _of_duplicates(duplicates, unit or RECORD)
    schema = None
    if not undecided:
        left_out = tuple(one.name for one in seen if one.note and one.type != "identifier")
        schema = propose(
            path,
            choices.category,
            label_column=None if regression else label,
            output_column=choices.output,
            unit=unit or RECORD,
            layout=table.layout,
            columns=tuple(name for name in names if name != unit),
            left_out=left_out,
            series=series,
        )
    return Diagnosis(
        table.kind,
        table.layout.model_dump() if table.kind in ("csv", "xlsx") else {},
        len(table),
        (),
        tuple(seen),
        label,
        classes,
        unlabelled,
        duplicates,
        groups,
        tuple(warnings),
        tuple(undecided),
        schema,
    )


def _of_odd_numbers(seen: SeenColumn) -> list[str]:
    warnings = []
    if seen.stray:
        warnings.append(
            f"column {seen.name!r}: {seen.stray} cells are no number and count as missing"
        )
    if seen.placeholders:
        warnings.append(
            f"column {seen.name!r}: {seen.placeholders} cells hold a number such as 9999 or -999, "
            "far beyond all others; the proposed range leaves it out, and it counts as the nearer "
            "end: empty these cells if it stands for a missing value, or else widen the range"
        )
    return warnings


def _of_cases(table: Table, seen: SeenColumn) -> list[str]:
    if seen.type != "category" or seen.note:
        return []
    values = {label_key(cell) for cell in table.cells(seen.name) if not is_missing(cell)}
    cases = len(values) - len({value.casefold() for value in values})
    said = f"{cases} values differ in upper and lower case alone: they stay different"
    return [f"column {seen.name!r}: {said}"] if cases else []


def _of_names(header: Sequence[str]) -> list[str]:
    folded: dict[str, list[str]] = defaultdict(list)
    for name in header:
        folded[name.casefold()].append(name)
    return [
        f"columns {listed(names)} differ in upper and lower case alone: they stay different"
        for names in folded.values()
        if len(names) > 1
    ]


def _of_records(path: Path, choices: Choices) -> Diagnosis:
    """Arrays, images and texts."""
    label = choices.label or LABEL_COLUMN
    found = read_unchecked(path, label, (), choices.unit or UNIT_COLUMN)
    regression = choices.output is not None or found.format == "cmapss"
    answers = [label_key(one) for one in found.labels]
    duplicates = len(answers) - len(
        set(found.rows or Records(found.format, found.x, found.labels).units)
    )
    counts = Counter(answers)
    unlabelled = counts.pop("", 0)
    classes = () if regression else tuple(sorted(counts.values(), reverse=True))
    warnings = [] if regression else _of_classes(classes, unlabelled)
    if found.ignored:
        warnings += [f"column {name!r} is not used" for name in found.ignored]
    warnings += _of_duplicates(duplicates, RECORD if not found.grouped_units else "unit")
    schema = propose(
        path,
        choices.category,
        label_column=choices.label,
        output_column=choices.output or ("y" if regression else None),
        unit=choices.unit,
    )
    return Diagnosis(
        found.format,
        {},
        len(answers),
        () if found.kind == "text" else tuple(int(size) for size in found.x.shape[1:]),
        (),
        None,
        classes,
        unlabelled,
        duplicates,
        (),
        tuple(warnings),
        (),
        schema,
    )


def _holds_documents(table: Table, choices: Choices) -> bool:
    """Whether a column `text` is all that its rows have, besides a label and what identifies them:
    otherwise it is one column among others."""
    if TEXT_COLUMN not in table.header:
        return False
    answer = choices.output or choices.label or _label_column(table)
    known = (TEXT_COLUMN, UNIT_COLUMN, table.index, answer, choices.unit)
    seen = (look_at(table, name) for name in table.header if name not in known)
    return all(one.note or one.type == "constant" for one in seen)


def _label_column(table: Table) -> str | None:
    """The only column with a name that labels usually have."""
    found = [name for name in table.header if name.casefold() in LABEL_NAMES]
    return LABEL_COLUMN if LABEL_COLUMN in found else found[0] if len(found) == 1 else None


def _groups(table: Table, seen: Sequence[SeenColumn]) -> tuple[str, ...]:
    """Columns that may name what several rows belong to: by their own name, or because they hold
    more words than a category does as a rule."""
    found = []
    for one in seen:
        present = [cell for cell in table.cells(one.name) if not is_missing(cell)]
        shared = 1 < one.distinct <= len(present) / 2
        named = one.type != "number" and _GROUP.search(one.name)
        words = one.type in ("category", "identifier", "other") and one.distinct >= MANY_WORDS
        if shared and one.type != "timestamp" and (named or words):
            found.append(one.name)
    return tuple(found)


def _series(table: Table, seen: Sequence[SeenColumn], unit: str) -> Series | None:
    """The first time or number that rises from row to row of every unit; None if none does."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(table.cells(unit)):
        rows[name.strip()].append(row)
    if median(map(len, rows.values())) < MANY_ROWS:
        return None
    for one in seen:
        if one.type not in ("timestamp", "number", "integer") or one.missing or one.stray:
            continue
        values = moments(table, one)
        if all((np.diff(values[of_unit]) > 0).all() for of_unit in rows.values()):
            return Series(by=unit, order=None if one.note else one.name)
    return None


def _without_leak(table: Table, seen: SeenColumn, label: str, regression: bool) -> SeenColumn:
    """With a note if the column tells what is to be predicted."""
    if seen.note and seen.type != "identifier":
        return seen
    cells, answers = table.cells(seen.name), table.cells(label)
    why = ""
    if regression:
        x, y = numbers(cells, table.layout), numbers(answers, table.layout)
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() > 2 and x[both].std() > 0 and y[both].std() > 0:
            same = abs(np.corrcoef(x[both], y[both])[0, 1]) > 0.99999
            why = "it is the number to predict in another form" if same else ""
    else:
        why = _tells(cells, [label_key(one) for one in answers], seen)
    return replace(seen, note=why) if why else seen


def _tells(cells: Sequence[str], labels: Sequence[str], seen: SeenColumn) -> str:
    """How a column tells the label; empty if it does not."""
    with_label: dict[str, Counter[str]] = defaultdict(Counter)
    for cell, label in zip(cells, labels, strict=True):
        # Of what identifies an example only the words count: `cat-001` tells the label `cat`.
        key = re.sub(r"\d+", "#", cell) if seen.type == "identifier" else cell
        with_label[key.strip()][label] += 1
    many = len({label for label in labels if label}) > 1
    values = len(with_label)
    many &= len(cells) >= TELLING
    if many and 1 < values <= len(cells) / 2 and all(len(one) == 1 for one in with_label.values()):
        return "it tells the label of every example"
    if seen.type == "identifier" and many and _in_blocks(cells, labels):
        return "sorted by it, the labels come one after the other"
    if 1 < values <= FLAG_VALUES:
        totals = Counter(labels)
        for counts in with_label.values():
            (label, count), pure = counts.most_common(1)[0], len(counts) == 1
            if pure and count >= TELLING and totals[label] < len(labels) / 2:
                return (
                    f"one of its values has {count} examples, all of one label; add it if it is "
                    "known before the outcome"
                )
    return ""


def _in_blocks(cells: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether numbers that identify examples come in blocks, one a label."""
    values = numbers(cells, FileLayout())
    if not np.isfinite(values).all():
        return False
    ordered = [labels[place] for place in np.argsort(values, kind="stable")]
    changes = sum(a != b for a, b in pairwise(ordered))
    return bool(changes == len(set(labels)) - 1)


def _classes(
    table: Table, label: str | None, answers: Sequence[str], regression: bool
) -> tuple[tuple[int, ...], int, list[str]]:
    """(examples of each label, examples without one, warnings)."""
    if label is None:
        return (), 0, []
    if regression:
        wrong = int((~np.isfinite(numbers(table.cells(label), table.layout))).sum())
        said = [f"{wrong} examples have no number to predict and {OUT}"] if wrong else []
        return (), wrong, said
    counts = Counter(answers)
    unlabelled = counts.pop("", 0)
    classes = tuple(sorted(counts.values(), reverse=True))
    warnings = _of_classes(classes, unlabelled)
    spellings = len({cell.strip() for cell in table.cells(label)} - {""}) - len(counts)
    if spellings:
        warnings.append(
            f"{spellings} labels are spelt in two ways, such as 0 and 0.0: they are one"
        )
    cases = len(counts) - len({name.casefold() for name in counts})
    if cases:
        warnings.append(f"{cases} labels differ in upper and lower case alone: they stay different")
    gaps = sum(counts[name] for name in counts if name and is_missing(name))
    if gaps:
        warnings.append(f"{gaps} examples have a label that reads like a missing one")
    return classes, unlabelled, warnings


def _of_classes(classes: Sequence[int], unlabelled: int) -> list[str]:
    warnings = []
    if unlabelled:
        warnings.append(f"{unlabelled} examples have no label and {OUT}")
    if len(classes) == 1:
        warnings.append("only one label: a model cannot learn any other from these data")
    elif classes and are_skewed(classes):
        share = 100 * min(classes) / sum(classes)
        warnings.append(
            f"{share:.1f} % of the examples have the rarest label: accuracy says little"
        )
    if classes and min(classes) < 5:
        few = sum(count < 5 for count in classes)
        warnings.append(f"{few} labels have fewer than 5 examples; the draft names them in public")
    return warnings


def _of_duplicates(duplicates: int, unit: str) -> list[str]:
    if not duplicates:
        return []
    one = "they are one privacy unit each time" if unit == RECORD else "they are not dropped"
    return [f"{duplicates} examples are equal to an earlier one: {one}"]
