"""A specification's privacy: what each provider must keep for each unit of its data."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from fedpact.types.bounds import (
    ClippingNorm,
    CountShare,
    Delta,
    Epsilon,
    Multiplier,
    NormRate,
    Quantile,
    Sensitivity,
)
from fedpact.types.document import Document

CLAIM = "claimed by the paper, not guaranteed"
"""Shown next to every epsilon of mode `paper`."""
DDP_SGD_MIN_EPOCHS = 3
"""It takes its clipping norm from the two epochs before the last (learning.ddp_sgd)."""


class PrivacyMode(StrEnum):
    """`sound`: (epsilon, delta) for everything published. `paper`: what the papers do; their
    epsilon is a claim, not a guarantee. `none`: for tests and benchmarks."""

    NONE = "none"
    PAPER = "paper"
    SOUND = "sound"


class PaperMechanism(StrEnum):
    """What mode `paper` does: Wang et al. 2024, algorithm 2, with a fixed clipping norm or with
    the dynamic one of their equation 2; Lu et al. 2020, equations 3 to 5."""

    DP_SGD = "dp-sgd"
    DDP_SGD = "ddp-sgd"
    LAPLACE = "laplace"


_NEEDED: dict[PrivacyMode | PaperMechanism, tuple[str, ...]] = {
    PrivacyMode.NONE: (),
    PrivacyMode.SOUND: ("epsilon", "delta", "noise_multiplier"),
    PaperMechanism.DP_SGD: ("epsilon", "delta", "clipping_norm"),
    PaperMechanism.DDP_SGD: ("epsilon", "delta"),
    PaperMechanism.LAPLACE: ("epsilon", "sensitivity"),
}
_SUM_FIELDS = ("group", "honest", "colluders")
"""What a secure sum names besides `sum`."""
_OPTIONAL = {"clipping_norm", "statistics_multiplier", "adaptive_clipping", "sum", *_SUM_FIELDS}
"""Each mode takes the fields in `_NEEDED`; `sound` also takes these."""
SMALLEST_GROUP = 4
"""Members of a secure sum, at least: a group's score is shared by its members."""


class AdaptiveClipping(Document):
    """A clipping norm that follows a quantile of the gradients' norms (Andrew et al. 2021) from
    step to step; each round starts again at `clipping_norm`."""

    quantile: Quantile = 0.5
    """Share of the units whose gradients should stay unclipped."""
    learning_rate: NormRate = 0.2
    """If the share is off by x, the norm changes by the factor exp(learning_rate * x)."""
    count_share: CountShare = 0.05
    """Part of a step's privacy, 1 / noise_multiplier^2, that goes to the noised count of unclipped
    gradients; the rest goes to their sum."""


class Privacy(Document):
    """The privacy that each provider must keep for each unit of its data."""

    mode: PrivacyMode
    mechanism: PaperMechanism | None = None
    """Of mode `paper`."""
    epsilon: Epsilon | None = None
    """Guaranteed under `sound`; under `paper` the paper's claim. With Laplace noise it holds for
    each of the two releases."""
    delta: Delta | None = None
    clipping_norm: ClippingNorm | None = None
    noise_multiplier: Multiplier | None = None
    """Under `paper` it follows from epsilon and the provider's number of records."""
    adaptive_clipping: AdaptiveClipping | None = None
    """None: the norm is fixed."""
    statistics_multiplier: Multiplier | None = None
    """Noise on the sums of a first round that gathers statistics; None: every round trains."""
    sensitivity: Sensitivity | None = None
    """Of Laplace noise (Lu et al. 2020, equation 5), taken as given."""
    sum: Literal["secure"] | None = None
    """`secure`: nobody sees what a member releases, only sums of random groups of members, others
    in each round. `noise_multiplier` is then that of each member's own part of a sum's noise."""
    group: Annotated[int, Field(ge=SMALLEST_GROUP, le=16)] | None = None
    """Of a secure sum: the least number of members of a group, as long as so many take part."""
    honest: Annotated[int, Field(ge=2, le=16)] | None = None
    """Of a secure sum: how many members' noise a sum has whoever drops out or colludes; epsilon is
    for so much."""
    colluders: Annotated[int, Field(ge=0, le=14)] | None = None
    """Of a secure sum: how many members of a round may tell each other all that they know."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        paper = self.mode is PrivacyMode.PAPER
        if paper and self.mechanism is None:
            raise ValueError(f"mode paper needs a mechanism: {', '.join(PaperMechanism)}")
        if not paper and self.mechanism is not None:
            raise ValueError(f"mode {self.mode} takes no mechanism")
        needed = _NEEDED[self.mechanism or self.mode]
        optional = _OPTIONAL if self.mode is PrivacyMode.SOUND else set()
        fields = {name for names in _NEEDED.values() for name in names} | _OPTIONAL
        named = f"mode {self.mode}" + (f", {self.mechanism}," if self.mechanism else "")
        if any(getattr(self, name) is None for name in needed):
            raise ValueError(f"{named} needs {', '.join(needed)}")
        allowed = {*needed, *optional}
        extra = sorted(name for name in fields - allowed if getattr(self, name) is not None)
        if extra:
            raise ValueError(f"{named} takes no {', '.join(extra)}")
        self._check_sum()
        return self

    def _check_sum(self) -> None:
        given = [name for name in _SUM_FIELDS if getattr(self, name) is not None]
        if self.sum is None and given:
            raise ValueError(f"{', '.join(given)}: of a secure sum alone")
        if self.sum is None:
            return
        if self.group is None or self.honest is None or self.colluders is None:
            raise ValueError(f"a secure sum needs {', '.join(_SUM_FIELDS)}")
        if self.adaptive_clipping is not None:
            raise ValueError("a secure sum takes no adaptive_clipping: it counts what nobody sees")
        if self.honest + self.colluders > self.group:
            raise ValueError(
                f"groups of {self.group} cannot have {self.honest} honest members beside "
                f"{self.colluders} colluders"
            )

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a secure sum the bytes are those of before there was any."""
        fields: dict[str, Any] = handler(self)
        if self.sum is None:
            for name in ("sum", *_SUM_FIELDS):
                fields.pop(name, None)
        return fields

    @property
    def statement(self) -> str:
        """The privacy in words; an epsilon is never shown without what it is worth."""
        if self.mode is PrivacyMode.NONE:
            return "none"
        figure = f"epsilon {self.epsilon:g}"
        if self.delta is not None:
            figure += f" at delta {self.delta:g}"
        if self.mode is PrivacyMode.PAPER:
            return f"paper, {self.mechanism}: {figure}, {CLAIM}"
        if self.sum is not None:
            return (
                f"sound: {figure}, for sums of groups of providers of which nobody sees a part; "
                f"it holds if at most {self.colluders} of a round's providers collude, since no "
                f"sum is opened without {self.honest} others in it"
            )
        return f"sound: {figure}, for all that a provider releases"
