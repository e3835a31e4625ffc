"""The participation game: what a provider does with and without a record, under hostile requests.

The provider's own code decides, charges, trains and seals, on real files and a real ledger.
Whatever could leave the process is watched: the decision and its reason, the opt-in record, errors,
the size of what is submitted and when, log lines, and how many more requests the ledger would
accept. All of that must be the same with the record and without it, and whatever the record holds.
Only the noised bytes may differ: the record may move the sums of a step, in units of their noise,
by as much as is charged. The data set with the record may be one of several that the policy lists:
before it one that does not fit the request, after it one that fits as well.
"""

import csv
import logging
import math
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from numpy.typing import NDArray

from fedpact.chain.keystore import AccountKeys
from fedpact.data.declared import no_examples
from fedpact.data.documents import documents, pack
from fedpact.errors import BudgetExceeded, FedpactError
from fedpact.learning.artefact import Template, decode
from fedpact.learning.families import family_of
from fedpact.learning.strategies import Globals, strategy
from fedpact.learning.summed_release import summed_values
from fedpact.privacy.attacks import AuditedMode, Check
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.privacy.releases import GaussianRelease, of_request
from fedpact.privacy_audit.hostile import (
    COLUMNS,
    LABELS,
    SERIES,
    TYPED,
    HostileRequest,
    hostile_request,
)
from fedpact.privacy_audit.release import DELTA, Finding
from fedpact.provider.data_sets import OwnData
from fedpact.provider.duties.deciding import match_to_join, opt_in_record
from fedpact.provider.duties.training import PlannedRelease, make_release, submission_time
from fedpact.provider.own import Own
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import OwnRecords
from fedpact.provider.training.trainer import InProcess
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema

REQUESTS = 50
CONTENTS_TRIED = 2
"""Odd contents of the record in each request, besides its absence and one that fits."""
OTHERS = 40
"""Records of the data set that are always there: more than a block of rows."""
UNITS = OTHERS + 5
"""Declared."""
ROWS = 4
"""Of one unit where examples are windows of rows."""
MANY = 70
"""Examples of the record where the schema allows several."""
LIMIT = 8.0
"""Of every budget: the game is about records, and a request that is declined shows few."""
FOLLOWING = 3
"""Further requests that the ledger is asked for."""
ROUNDING = 1e-3
"""Sums in 32 bits differ in the rounding of every block, since orders are not matched here."""
DEPLOYMENT = bytes(32)
REQUESTER = "0x" + "11" * 20
PAYMENT = 10**18

NUMBERS: dict[str, Any] = {
    "ordinary": 3.0,
    "NaN": math.nan,
    "infinite": math.inf,
    "huge": 1e308,
    "subnormal": -1e-310,
    "beyond float32": -3.5e38,
}
CELLS: dict[str, str] = {
    "ordinary": "3",
    "empty": "",
    "a word": "confidential",
    "NaN": "nan",
    "infinite": "-inf",
    "huge": "1e308",
    "long": "9" * 400,
    "odd digits": "\u0663",
    "a value of a category": "red",
    "a word for true": "yes",
    "a date": "1999-12-31T23:59:59",
    "with its measure": "7 EUR",
}


@dataclass(frozen=True)
class Remark:
    """Ordinary cells, and this text among them."""

    text: str


REMARKED = {
    "no text": Remark(""),
    "a text": Remark("bearing hums since yesterday, oil \u2028 leaks " * 50),
    "a text of digits": Remark("9" * 10_000),
}
REMARKS = ("belt", "torn", "bearing", "hums", "oil", "leaks", "checked", "again")
"""Words of the records that are always there."""
TEXTS: dict[str, str] = {
    "ordinary": "volcanic ash grounded every aircraft in the region",
    "empty": "",
    "a lone surrogate": "\ud800 volcano",
    "zeros": "\0" * 50,
    "long": "pension reform " * 20_000,
    "one long word": "x" * 100_000,
}
UNKNOWN_LABEL = "of nobody else"
JOINS = "joins"
OWN, OTHER, TWIN = "own", "other", "twin"
BESIDE = (OTHER, TWIN)
"""Names of data sets beside the one with the record: one of another kind, which comes first, and
one that fits as well, which comes last."""


@dataclass(frozen=True)
class Behaviour:
    """Everything that others could see or infer, but for the noised bytes."""

    decision: str
    chosen: str
    """Name of the data set that it joins with."""
    opt_in: bytes
    error: str
    submitted: int
    """Bytes."""
    opens: bool
    """Whether the model has its template's form and values, or a vector its length."""
    at: float
    log: tuple[str, ...]
    charged: tuple[str, ...]
    """Releases in the ledger, without their units."""
    accepts: int
    """Further requests like this one that the ledger would accept."""


@dataclass(frozen=True)
class Play:
    behaviour: Behaviour
    sums: list[NDArray[np.float64]]
    """Values of the first step before noise, each over the standard deviation of its noise."""


class Watched(NoiseSource):
    """Repeatable noise that remembers what it was added to."""

    def __init__(self, seed: int) -> None:
        self._noise = SeededNoise(seed)
        self.seen: list[NDArray[np.float64]] = []

    def words(self, count: int) -> NDArray[np.uint64]:
        return self._noise.words(count)

    def add_integers(self, values: NDArray[Any], std: float) -> NDArray[np.int64]:
        self.seen.append(np.ravel(values).astype(np.float64) / std)
        return super().add_integers(values, std)


class WatchedWork(LocalWork):
    def __init__(self, seed: int) -> None:
        self.watched = Watched(seed)

    def noise(self) -> NoiseSource:
        return self.watched


class _Lines(logging.Handler):
    """Collects what would be logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def audit_participation(
    name: str,
    mode: AuditedMode = AuditedMode.SOUND,
    requests: int = REQUESTS,
    seed: int | None = None,
) -> Finding:
    """Play the game under `requests` random hostile requests. `moving` of the details: in how many
    of them the record moved the sums at all.

    Raises InvalidInput for a family of which no hostile requests are known.
    """
    random = np.random.default_rng(seed)
    differences: list[str] = []
    joined, moving, most = 0, 0, 0.0
    for number in range(requests):
        hostile = hostile_request(name, random, mode)
        found, moved, joins = compare(hostile, random)
        joined += joins
        moving += moved > 0
        most = max(most, moved)
        differences += [f"request {number + 1}: {one}" for one in found]
    return Finding(
        Check.PARTICIPATION,
        name,
        mode,
        f"differences in behaviour under {requests} hostile requests",
        0.0,
        float(len(differences)),
        not differences,
        0.0,
        DELTA,
        {
            "joined": joined,
            "moving": moving,
            "largest_move": most,
            "differences": differences[:20],
        },
    )


def compare(hostile: HostileRequest, random: np.random.Generator) -> tuple[list[str], float, bool]:
    """Differences that one record makes, the largest move of a first step's sums over what is
    charged, and whether the provider joins."""
    contents = _contents(hostile)
    tried = random.choice(list(contents), min(CONTENTS_TRIED, len(contents)), replace=False)
    windows = hostile.spec.features.series is not None
    several, noise = windows or bool(random.integers(2)), int(random.integers(2**32))
    label = str(random.choice([*LABELS, UNKNOWN_LABEL]))
    lots = np.random.default_rng(noise)
    beside = frozenset(one for one in BESIDE if lots.integers(2))
    without = play(hostile, None, label, several, noise, beside=beside)
    differences: list[str] = []
    most = 0.0
    odd = [(one, contents[one], label) for one in tried]
    usual = ("usual", _usual(hostile), _known_label(hostile, random))
    cases = [(*odd[0], True), *((*one, False) for one in (*odd, usual))]
    for content, value, named, spent in cases:
        found = play(hostile, value, named, several, noise, beside=beside, spent=spent)
        what = f"content {content}, label {named!r}" + ", its budget used up" * spent
        for one in fields(Behaviour):
            mine, others = (getattr(of.behaviour, one.name) for of in (found, without))
            if mine != others:
                differences.append(
                    f"{what}: {one.name} is {mine!r:.200}, without the record {others!r:.200}"
                )
        moved = _moved(found.sums, without.sums) * (_multiplier(hostile) or 1.0)
        if moved > 1 + ROUNDING:
            differences.append(f"{what}: it moves the first step's sums by {moved:.4f} of its cost")
        most = max(most, moved)
    return differences, most, without.behaviour.decision == JOINS


def play(
    hostile: HostileRequest,
    content: Any,
    label: str,
    several: bool,
    noise: int,
    *,
    beside: Collection[str] = (),
    spent: bool = False,
) -> Play:
    """What a provider does with one request.

    Args:
        content: of the record in question; None: it is not there.
        several: units have several examples.
        beside: of BESIDE, the other data sets.
        spent: the record's budget was used up by other data sets.
    """
    with tempfile.TemporaryDirectory() as folder, _watched_log() as log:
        schema = _schema(hostile, several)
        path = _write(Path(folder), hostile, schema, content, label)
        work = WatchedWork(noise)

        def open_ledger() -> Ledger:
            return Ledger(Path(folder) / "ledger.sqlite", bytes(32))

        policy = Policy(
            epsilon_per_request=LIMIT,
            epsilon_per_requester=LIMIT,
            epsilon_lifetime=LIMIT,
            min_samples=1,
            accept_secure_sums=True,
        )
        keys = AccountKeys(Account.from_key(b"\1" * 32))
        folders = Path(folder) / "features", Path(folder) / "snapshots"

        def of(name: str, file: Path, one: DataSchema) -> OwnData:
            return OwnData(name, OwnRecords(file, one, *folders, name), policy)

        data = [of(OWN if beside else "", path, schema)]
        if OTHER in beside:
            data.insert(0, of(OTHER, Path(folder) / "none.csv", _other_schema(hostile)))
        if TWIN in beside:
            (Path(folder) / TWIN).mkdir()
            twin = _write(Path(folder) / TWIN, hostile, schema, None, label)
            data.append(of(TWIN, twin, schema.model_copy(update={"data_id": "11" * 16})))
        with open_ledger() as ledger:
            own = Own(keys, policy, tuple(data), InProcess(work), ledger, open_ledger)
            if spent and content is not None:
                _use_up(own)
            behaviour = _behaviour(own, hostile, log)
        steps = max(1, hostile.spec.local.steps_for(1))
        seen = work.watched.seen
        return Play(behaviour, seen[: len(seen) // steps])


def _behaviour(own: Own, hostile: HostileRequest, log: list[str]) -> Behaviour:
    spec, opt_in, error, sealed, at, opens = hostile.spec, b"", "", b"", 0.0, False
    chosen = ""
    template = family_of(spec).template(spec)
    release_id = ReleaseId(DEPLOYMENT, 1, hostile.round)
    decision = JOINS
    try:
        match = match_to_join(own, spec, PAYMENT, REQUESTER, (DEPLOYMENT, 1))
        chosen, opt_in = match.data.name, opt_in_record(own, spec, match)
    except FedpactError as refusal:
        decision = f"{type(refusal).__name__}: {refusal}"
    if opt_in:
        known = Globals(hostile.start, hostile.start)
        task = strategy(spec.strategy).local(known, None)
        planned = PlannedRelease(
            release_id,
            TrainingTask(
                spec, hostile.round, hostile.start, task, no_examples(spec), 0, {}, data_seed=0
            ),
            match.data,
            REQUESTER,
            match.samples,
            lambda artefact: artefact,
            1000,
        )
        try:
            sealed = make_release(own, planned)
            opens = _opens(hostile, sealed, template)
        except Exception as failure:  # noqa: BLE001 - an error is what the game looks for
            error = f"{type(failure).__name__}: {failure}"
        at = submission_time(1000, 600, own.policy.submit_after, own.ledger.kept_at(release_id))
    charged = tuple(f"{one.id.round} {one.event}" for one in own.ledger.entries() if one.id.request)
    accepts = _accepts(own, hostile)
    return Behaviour(
        decision, chosen, opt_in, error, len(sealed), opens, at, tuple(log), charged, accepts
    )


def _opens(hostile: HostileRequest, sealed: bytes, template: Template) -> bool:
    """Whether what is submitted can be read. Of a secure sum: the own integers, to be masked."""
    if hostile.spec.privacy.sum is None:
        return bool(decode(sealed, template))
    return len(sealed) == 8 * summed_values(hostile.spec, hostile.round)


def _accepts(own: Own, hostile: HostileRequest) -> int:
    release = of_request(hostile.spec)
    assert release is not None
    for number in range(FOLLOWING):
        try:
            own.ledger.hold(DEPLOYMENT, 2 + number, release, _with_record(own).payers(REQUESTER))
        except BudgetExceeded:
            return number
    return FOLLOWING


def _with_record(own: Own) -> OwnData:
    return next(one for one in own.data if one.name in ("", OWN))


def _use_up(own: Own) -> None:
    """Charge the record, the last of the file, with more than any limit: in another data set."""
    units = _with_record(own).records.load().units
    last = ReleaseId(DEPLOYMENT, 0, 1)
    own.ledger.release(last, units[-1:], GaussianRelease(1e-3, 1.0, 10_000), b"earlier")


def _moved(first: Sequence[NDArray[np.float64]], second: Sequence[NDArray[np.float64]]) -> float:
    """Distance of two lists of sums; infinite where they have not the same shapes."""
    if [one.shape for one in first] != [one.shape for one in second]:
        return math.inf
    return math.sqrt(sum(float(((a - b) ** 2).sum()) for a, b in zip(first, second, strict=True)))


def _multiplier(hostile: HostileRequest) -> float | None:
    """Of the noise that the provider adds itself: a part of a secure sum's."""
    release = GaussianRelease.of_round(hostile.spec, hostile.round)
    if release is None:
        return None
    return release.noise_multiplier / (hostile.spec.privacy.honest or 1)


@contextmanager
def _watched_log() -> Iterator[list[str]]:
    logger, handler = logging.getLogger("fedpact"), _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


# ---------------------------------------------------------------------- the data


def _is_table(hostile: HostileRequest) -> bool:
    return bool(hostile.spec.features.names)


def _is_text(hostile: HostileRequest) -> bool:
    return hostile.spec.features.kind == "text"


def _contents(hostile: HostileRequest) -> dict[str, Any]:
    if _is_text(hostile):
        return TEXTS
    if not _is_table(hostile):
        return NUMBERS
    texts = any(column.type == "text" for column in hostile.spec.features.table)
    return CELLS | REMARKED if texts else CELLS


def _usual(hostile: HostileRequest) -> Any:
    """Of a record that fits, as most do not: it should move the sums."""
    if _is_text(hostile):
        return TEXTS["ordinary"]
    return Remark("belt torn") if _is_table(hostile) else NUMBERS["ordinary"]


def _known_label(hostile: HostileRequest, random: np.random.Generator) -> str:
    """One that the request asks for, if it asks for any that is declared."""
    asked = [label for label in LABELS if label in hostile.spec.labels]
    return str(random.choice(asked or LABELS))


def _other_schema(hostile: HostileRequest) -> DataSchema:
    """Of data that do not fit the request; they are never read."""
    fields_: dict[str, Any] = {"data_id": "22" * 16, "category": "test", "units": UNITS}
    if _is_text(hostile):
        return DataSchema(**fields_, labels=LABELS, shape=(1,), value_range=(-1.0, 1.0))
    return DataSchema(**fields_, labels=LABELS, kind="text")


def _schema(hostile: HostileRequest, several: bool) -> DataSchema:
    fields_: dict[str, Any] = {
        "data_id": "00" * 16,
        "category": "test",
        "units": UNITS,
        "labels": LABELS,
    }
    if _is_text(hostile):
        return DataSchema(**fields_, kind="text")
    if several:
        fields_ |= {"unit": "unit", "examples_per_unit": 3}
    if _is_table(hostile):
        plain = tuple(ColumnSchema(name=name, range=(-1e6, 1e6)) for name in COLUMNS)
        series = SERIES if several else None
        return DataSchema(**{"unit": "record", **fields_}, columns=plain + TYPED, series=series)
    shape = hostile.spec.features.shape
    return DataSchema(**fields_, shape=shape, value_range=(-1e3, 1e3))


def _write(
    folder: Path, hostile: HostileRequest, schema: DataSchema, content: Any, label: str
) -> Path:
    """The other records, and last the one in question."""
    random, mine = np.random.default_rng(0), content is not None
    several = schema.unit_column is not None
    extra = (MANY if several else 1) if mine else 0
    labels = [*random.choice(LABELS, OTHERS).tolist(), *[label] * extra]
    rows = ROWS if hostile.spec.features.series is not None else 1
    units = [f"u{number // rows}" for number in range(OTHERS)] + ["mine"] * extra
    if _is_text(hostile):
        words = ["freight", "tunnel", "sailor", "yacht", "parliament", "reform", "ash", "aircraft"]
        texts = [" ".join(random.choice(words, 6)) for _ in range(OTHERS)] + [content] * extra
        path = folder / "texts.npz"
        np.savez(path, y=np.array(labels), **pack(documents(texts)))
        return path
    if _is_table(hostile):
        columns = [column.name for column in schema.columns]
        cells = [_ordinary(random) for _ in range(OTHERS)]
        own = [content] * len(columns)
        if isinstance(content, Remark):
            remark = [column.type == "text" for column in schema.columns]
            ordinary = _ordinary(random)
            own = [content.text if r else cell for r, cell in zip(remark, ordinary, strict=True)]
        cells += [own] * extra
        path = folder / "table.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*columns, "label", "unit"][: len(columns) + 1 + several])
            for row, name, unit in zip(cells, labels, units, strict=True):
                writer.writerow([*row, name, unit] if several else [*row, name])
        return path
    shape = hostile.spec.features.shape
    if hostile.spec.family.name == "char-lstm":
        known = random.integers(0, 2, (OTHERS, *shape)).astype(np.float64)
    else:
        known = random.normal(0, 1, (OTHERS, *shape))
    target = np.full((extra, *shape), content if mine else 0.0)
    path = folder / "arrays.npz"
    arrays: dict[str, Any] = {"x": np.concatenate([known, target]), "y": np.array(labels)}
    np.savez(path, **arrays, **({"unit": np.array(units)} if several else {}))
    return path


def _ordinary(random: np.random.Generator) -> list[str]:
    """The cells of a record that is always there: a number in each plain column, a value of the
    column or nothing in each other."""
    cells = [f"{random.normal(0, 100):.3f}" for _ in COLUMNS]
    known = {
        "integer": str(random.integers(100)),
        "number": f"{random.normal(0, 500):.2f} EUR",
        "boolean": str(random.choice(["yes", "no"])),
        "timestamp": f"20{random.integers(10, 30)}-06-{random.integers(10, 30)}",
        "text": " ".join(random.choice(REMARKS, 4)),
    }
    for column in TYPED:
        missing = column.missing != "omit" and random.random() < 0.2
        value = str(random.choice(column.values)) if column.values else known[column.type]
        cells.append("" if missing else value)
    return cells
