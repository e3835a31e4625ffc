"""The document that a request's digest on chain points to.

It holds every rule by which models are judged, and is fixed by its digest before anyone joins.
Errors are integers in 1/10,000, windows are in seconds.
"""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from fedpact.errors import SpecificationError
from fedpact.types.bounds import MAX_STEPS_OF_REQUEST, Scale
from fedpact.types.columns import ColumnSchema
from fedpact.types.document import Document, canonical_json
from fedpact.types.local_training import LocalApp, LocalEpochs, LocalSteps, LocalTraining
from fedpact.types.metric import ACCURACY, MEAN_ABSOLUTE_ERROR, Metric
from fedpact.types.parts import Part, check_order, laid_out, parts_of, shape_of
from fedpact.types.privacy import DDP_SGD_MIN_EPOCHS, PaperMechanism, Privacy, PrivacyMode
from fedpact.types.requests import ApprovalRule, LeaderRule
from fedpact.types.series import SeriesWindows
from fedpact.types.validation import every_error

SPECIFICATION_VERSION: Literal[1] = 1
SPECIFICATION_MAX_BYTES = 262_144
"""One IPFS block, so that a specification's CID always has the raw codec."""
STATISTICS_ROUND = 1
"""The round that gathers statistics, if the family needs any."""


class ScoreKind(StrEnum):
    """What a vote measures: the model's own error, or by how much it lowers the aggregate's."""

    MODEL = "model"
    CONTRIBUTION = "contribution"


QueryText = Annotated[str, Field(min_length=1, max_length=10_000)]


class JudgedOn(StrEnum):
    """On whose examples the members measure models."""

    SLICES = "slices"
    """The requester's, of the round."""
    OWN_RECORDS = "own-records"
    """Each member on records of its own that it does not train on (Lu et al. 2020, III-D.2). Its
    votes say something about them, and nobody can compute them again."""


Account = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
"""An account's checksummed address."""


class Features(Document):
    """The input: `shape` of one example, and the public constant by which values are divided.

    An example of kind `text` is one document; it has no shape, scale or columns.
    """

    kind: Literal["numbers", "text"] = "numbers"
    columns: tuple[str, ...] = ()
    """Names of the value columns of a table, in order; empty for arrays."""
    shape: tuple[Annotated[int, Field(gt=0)], ...]
    scale: Scale = 1.0
    table: Annotated[tuple[ColumnSchema, ...], Field(max_length=10_000)] = ()
    """Declared columns, in order, in place of `columns` and `scale`: each is encoded as it says."""

    series: SeriesWindows | None = None
    """Examples are windows of a table's rows, of shape (window, inputs); with static columns a
    vector of both."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """What an example consists of, in order: a window, other columns, texts."""
        return parts_of(self.table, self.series, self.shape)

    @property
    def laid_out(self) -> tuple[ColumnSchema, ...]:
        """Declared columns in the order of an example's values; those of a window's rows repeat."""
        return laid_out(self.table, self.series)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a table's columns, in order; empty for arrays."""
        return self.columns or tuple(column.name for column in self.table)

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without declared columns the bytes are those of before there were any."""
        fields: dict[str, Any] = handler(self)
        if not self.table:
            fields.pop("table", None)
        if self.series is None:
            fields.pop("series", None)
        return fields

    @model_validator(mode="after")
    def _declared_columns(self) -> Self:
        if self.series is not None and not self.names:
            raise ValueError("series: windows need columns or table")
        if self.series is not None and self.series.static and not self.table:
            raise ValueError("series: static columns must be declared: give table")
        windows = None if self.series is None or self.series.static else self.series.window
        if windows is not None and self.shape[:1] != (windows,):
            raise ValueError(f"series: windows of {windows} rows, the shape is {list(self.shape)}")
        if not self.table:
            return self
        if self.columns or self.scale != 1.0 or self.kind != "numbers":
            raise ValueError("table takes the place of columns and scale, and is for numbers")
        if len(set(self.names)) != len(self.table):
            raise ValueError("table names one column twice")
        for column in self.table:
            if not column.is_input:
                raise ValueError(f"column {column.name!r}: {column.type} cannot be a feature")
            if column.source is not None or column.format is not None:
                raise ValueError(f"column {column.name!r}: source and format are the owner's alone")
        check_order(self.table, self.series)
        shape = shape_of(self.table, self.series)
        if self.shape != shape:
            raise ValueError(
                f"its columns become {' by '.join(map(str, shape))} inputs, the shape is "
                f"{list(self.shape)}"
            )
        return self

    @model_validator(mode="after")
    def _text_is_plain(self) -> Self:
        if self.kind == "text" and (self.shape or self.columns or self.scale != 1.0):
            raise ValueError("kind text needs shape [], and takes no columns and no scale")
        return self


class RegressionOutput(Document):
    """What a regression predicts: y = min(raw, cap) / scale."""

    column: Annotated[str, Field(min_length=1)]
    """Name of the table's column; in arrays it is `y`."""
    scale: Scale
    """The unit of errors: a mean absolute error of `scale` is 10,000."""
    cap: Scale | None = None
    """Larger values count as this one; None: no cap."""


class FamilyPackage(Document):
    """An installed package that a family comes from: the same code at all parties."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    version: Annotated[str, Field(min_length=1, max_length=64)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of its files (fedpact.learning.packages)."""


class FamilyChoice(Document):
    """A model family and its parameters."""

    name: str
    parameters: dict[str, int | float | str | tuple[int | float, ...]] = Field(default_factory=dict)
    package: FamilyPackage | None = None
    """None: fedpact's own."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a package the bytes are those of before there were any."""
        fields: dict[str, Any] = handler(self)
        if self.package is None:
            fields.pop("package", None)
        return fields


class StrategyChoice(Document):
    """A strategy of fedpact.learning.strategies and its parameters."""

    name: str = "fedavg"
    parameters: dict[str, int | float | str] = Field(default_factory=dict)


class AggregationChoice(Document):
    """An aggregation rule of fedpact.learning.aggregation and its parameters."""

    name: str = "weighted-mean"
    parameters: dict[str, int | float] = Field(default_factory=dict)


class EvaluationSlice(Document):
    """One sealed part of the requester's evaluation set; used in one round."""

    cid: str
    """Of the encrypted slice (safetensors: x float32 (n, *shape), y (n,), int64 labels or float32
    values)."""
    sha256: str
    """Hex digest of the slice's plaintext bytes."""
    examples: Annotated[int, Field(gt=0)]


Seconds = Annotated[int, Field(ge=0)]


class Windows(Document):
    """Longest duration of each stage, in seconds; a stage ends early once all have acted."""

    join: Seconds
    start: Seconds
    submit: Seconds
    commit: Seconds
    reveal: Seconds
    propose: Seconds
    deliver: Seconds


class Resale(Document):
    """The result may be resold, at this price."""

    price: Annotated[int, Field(gt=0, lt=2**96)]
    """Wei, shared by those who made the result. Must equal the price on chain (ResaleMarket)."""


class Specification(Document):
    version: Literal[1] = SPECIFICATION_VERSION
    title: Annotated[str, Field(min_length=1, max_length=200)]
    category: Annotated[str, Field(min_length=1, max_length=100)]
    task: Literal["classification", "regression"] = "classification"
    labels: tuple[str, ...] = ()
    """Names of the classes, two or more; none in a regression."""
    output: RegressionOutput | None = None
    """What a regression predicts; None in a classification."""
    features: Features
    family: FamilyChoice
    strategy: StrategyChoice = StrategyChoice()
    aggregation: AggregationChoice = AggregationChoice()
    local: LocalTraining
    rounds: Annotated[int, Field(ge=1, le=1000)]
    min_providers: Annotated[int, Field(ge=2, le=16)]
    max_providers: Annotated[int, Field(ge=2, le=16)]
    score: ScoreKind
    judged_on: JudgedOn = JudgedOn.SLICES
    metric: Metric | None = None
    """What errors measure; None: accuracy, or the mean absolute error of a regression."""
    max_error: Annotated[int, Field(gt=0, le=10_000)]
    """Models with a larger median vote are left out of the aggregate."""
    target: Annotated[int, Field(ge=0, le=10_000)] = 0
    """The request ends once the global model's error is at most this; 0: no early end."""
    vote_band: Annotated[int, Field(ge=0, le=1000)] = 50
    leader_rule: Literal["poq", "reputation"] = "poq"
    approval_rule: Literal["two-thirds", "unanimous"] = "two-thirds"
    privacy: Privacy
    evaluation: Annotated[tuple[EvaluationSlice, ...], Field(min_length=1)]
    initial_model: str
    """CID of the first global model (safetensors, not encrypted)."""
    invited: Annotated[tuple[Account, ...], Field(max_length=64)] = ()
    """The only accounts that should join; empty: anyone. The contracts do not enforce it: other
    providers' daemons decline, and an audit shows who joined uninvited (docs/adr/0024)."""
    auditors: Annotated[tuple[Account, ...], Field(max_length=64)] = ()
    """Registered accounts to which the keys are sealed, besides the committee."""
    windows: Windows
    usage_rules: str = ""
    resale: Resale | None = None
    """None: the result is not resold."""
    queries: str | None = None
    """Hex sha-256 of the requester's file of queries, if there is one."""
    published_queries: Annotated[tuple[QueryText, ...], Field(max_length=256)] = ()
    """Texts of queries, for all to read: each member trains on them too, with the answers that its
    own records give (Lu et al. 2020, III-C step 5). Empty: queries shape nothing."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_providers > self.max_providers:
            raise ValueError(
                f"min_providers {self.min_providers} is above max_providers {self.max_providers}"
            )
        if len(set(self.invited)) != len(self.invited):
            raise ValueError("invited names an account twice")
        if len(set(map(str.lower, self.auditors))) != len(self.auditors):
            raise ValueError("auditors names an account twice")
        if self.invited and len(self.invited) < self.min_providers:
            raise ValueError(
                f"{len(self.invited)} are invited, min_providers is {self.min_providers}"
            )
        if len(self.evaluation) != self.rounds:
            raise ValueError(
                f"{len(self.evaluation)} evaluation slices for {self.rounds} rounds: one a round"
            )
        if isinstance(self.local, LocalSteps):
            steps = self.rounds * self.local.steps
            if steps > MAX_STEPS_OF_REQUEST:
                raise ValueError(
                    f"{self.rounds} rounds of {self.local.steps} steps: at most "
                    f"{MAX_STEPS_OF_REQUEST} steps in all"
                )
        if self.privacy.mode is PrivacyMode.SOUND and isinstance(self.local, LocalEpochs):
            raise ValueError("mode sound needs local steps and a sampling_rate, not epochs")
        summed = isinstance(self.local, LocalSteps | LocalApp)
        clipped = self.privacy.mode is PrivacyMode.SOUND and summed
        paper = self.privacy.mode is PrivacyMode.PAPER
        if not paper and clipped != (self.privacy.clipping_norm is not None):
            wanted = "needs" if clipped else "takes no"
            raise ValueError(
                f"mode {self.privacy.mode} with this form of local training {wanted} clipping_norm"
            )
        if self.privacy.adaptive_clipping is not None and self.local.steps_for(1) < 2:
            raise ValueError(
                "adaptive_clipping moves the norm between the steps of a round: local needs 2 "
                "steps at least"
            )
        if paper:
            self._check_paper()
        if self.published_queries and not (paper and self.features.kind == "text"):
            raise ValueError(
                "published_queries are for texts under mode paper, whose epsilon is not a "
                "guarantee: their answers follow from all of a member's records"
            )
        own = self.judged_on is JudgedOn.OWN_RECORDS
        if own and not (paper and self.score is ScoreKind.MODEL):
            raise ValueError(
                "judged_on own-records needs mode paper, whose epsilon is not a guarantee, "
                "and score model"
            )
        return self

    def _check_paper(self) -> None:
        mechanism = self.privacy.mechanism
        if mechanism is PaperMechanism.LAPLACE:
            return
        if not isinstance(self.local, LocalEpochs):
            raise ValueError(f"mode paper, {mechanism}, needs epochs and a batch_size, not steps")
        if mechanism is PaperMechanism.DDP_SGD and self.local.epochs < DDP_SGD_MIN_EPOCHS:
            raise ValueError(
                f"DDP-SGD reads its norm off the two epochs before the last: at least "
                f"{DDP_SGD_MIN_EPOCHS} local epochs, not {self.local.epochs}"
            )

    @model_validator(mode="after")
    def _task_complete(self) -> Self:
        classes = self.task == "classification"
        if classes and len(self.labels) < 2:
            raise ValueError(f"labels: a classification needs at least 2, not {len(self.labels)}")
        if classes and self.output is not None:
            raise ValueError("output: a classification has none")
        if not classes and (self.labels or self.output is None):
            raise ValueError("a regression needs output, and no labels")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels name a class twice")
        return self

    @model_validator(mode="after")
    def _metric_fits(self) -> Self:
        if self.measure.task != self.task:
            raise ValueError(f"metric {self.measure} is for a {self.measure.task}")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a metric and published queries, and judged on slices, the bytes are those of
        before there were any others."""
        fields: dict[str, Any] = handler(self)
        if self.metric is None:
            fields.pop("metric", None)
        if self.judged_on is JudgedOn.SLICES:
            fields.pop("judged_on", None)
        if not self.published_queries:
            fields.pop("published_queries", None)
        return fields

    @property
    def measure(self) -> Metric:
        """The metric by which models are judged."""
        if self.metric is not None:
            return self.metric
        return ACCURACY if self.task == "classification" else MEAN_ABSOLUTE_ERROR

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def decode(cls, data: bytes) -> "Specification":
        """Parse and check; raises SpecificationError naming the first field that fails."""
        if len(data) > SPECIFICATION_MAX_BYTES:
            raise SpecificationError(
                f"specification of {len(data)} bytes: at most {SPECIFICATION_MAX_BYTES}"
            )
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise SpecificationError(f"specification: {every_error(error)}") from error

    @property
    def outputs(self) -> int:
        """Number of values that a model gives for an example: one per class, or 1."""
        return len(self.labels) or 1

    @property
    def evaluation_digest(self) -> bytes:
        """Digest of the slices, their order and their plaintexts."""
        slices = [part.model_dump(mode="json") for part in self.evaluation]
        return sha256(canonical_json(slices)).digest()

    @property
    def query_key(self) -> bytes:
        """Equal for requests that ask for the same: task, category, features, output, queries."""
        asked = self.model_dump(
            mode="json", include={"task", "category", "features", "labels", "output", "queries"}
        )
        return sha256(canonical_json(asked)).digest()

    @property
    def chain_leader_rule(self) -> LeaderRule:
        return LeaderRule.POQ if self.leader_rule == "poq" else LeaderRule.REPUTATION

    @property
    def chain_approval_rule(self) -> ApprovalRule:
        unanimous = self.approval_rule == "unanimous"
        return ApprovalRule.UNANIMOUS if unanimous else ApprovalRule.TWO_THIRDS
