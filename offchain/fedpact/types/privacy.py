"""A specification's privacy: what each provider must keep for each unit of its data."""

from enum import StrEnum
from typing import Self

from pydantic import model_validator

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
"""It takes its clipping norm from the two epochs before the last (privacy.ddp_sgd)."""


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
_OPTIONAL = {"clipping_norm", "statistics_multiplier", "adaptive_clipping"}
"""Each mode takes the fields in `_NEEDED`; `sound` also takes these."""


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
        return self

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
        return f"sound: {figure}, for all that a provider releases"
