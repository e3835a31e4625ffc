"""The demo's options."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fedpact.errors import InvalidInput
from fedpact.types.privacy import PaperMechanism

MAX_PROVIDERS = 16
MAX_POOL = 200
"""Daemons on one machine."""
REPORT = Path("demo-report")
"""Where `fedpact demo` writes the report of its request."""


class StoreKind(StrEnum):
    """The content store: a folder, or a real IPFS node started for the demo."""

    EMBEDDED = "embedded"
    IPFS = "ipfs"


class PoisonKind(StrEnum):
    """What a hostile provider does."""

    RANDOM = "random"
    """Submits random weights."""
    NAN = "nan"
    """Submits weights that are NaN."""
    AVERAGE = "average"
    """Submits the average of the others' last models."""
    ADVERSE = "adverse"
    """Trains on false labels and votes all others' models invalid."""


class Paper(StrEnum):
    """A paper whose whole system a demo runs."""

    LU = "lu"
    """Lu et al. 2020."""
    WANG = "wang"
    """Wang et al. 2024."""


LU_MEMBERS, LU_ROUNDS = 3, 4
WANG_POOL, WANG_DRAWN, WANG_ROUNDS = 100, 10, 2
"""As many accounts as in the paper, each with a daemon: some 9 GB of memory, and two minutes in all
on two cores that do nothing else."""
WANG_POOL_STEP = 5


@dataclass(frozen=True)
class PaperOptions:
    """Of a paper's demo; None: three members and four rounds for Lu's, and a pool as large as in
    the paper for Wang's.

    Raises InvalidInput for values that cannot be run.
    """

    paper: Paper
    providers: int | None = None
    """Of Lu's committee; of Wang's pool."""
    cohort: int | None = None
    """Drawn for a round of Wang's."""
    rounds: int | None = None
    store: StoreKind = StoreKind.EMBEDDED
    seed: int = 0
    json: Path | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        most = MAX_PROVIDERS if self.paper is Paper.LU else MAX_POOL
        if not 2 <= self.members <= most:
            raise InvalidInput(f"--providers {self.members}: must be from 2 to {most}")
        if self.paper is Paper.WANG and self.members % WANG_POOL_STEP:
            raise InvalidInput(
                f"--providers {self.members}: a multiple of {WANG_POOL_STEP}, so that each can have"
                " two of the ten digits"
            )
        if self.cohort is not None and self.paper is Paper.LU:
            raise InvalidInput("--cohort: Lu's committee takes part in every round")
        if not 2 <= self.drawn <= min(self.members, MAX_PROVIDERS):
            raise InvalidInput(
                f"--cohort {self.drawn}: must be from 2 to {min(self.members, MAX_PROVIDERS)}"
            )
        if not 1 <= self.iterations <= 100:
            raise InvalidInput(f"--rounds {self.iterations}: must be from 1 to 100")

    @property
    def members(self) -> int:
        return self.providers or (LU_MEMBERS if self.paper is Paper.LU else WANG_POOL)

    @property
    def drawn(self) -> int:
        """How many take part in a round."""
        return self.cohort or min(
            self.members, MAX_PROVIDERS if self.paper is Paper.LU else WANG_DRAWN
        )

    @property
    def iterations(self) -> int:
        """Rounds of a request, at most."""
        return self.rounds or (LU_ROUNDS if self.paper is Paper.LU else WANG_ROUNDS)


@dataclass(frozen=True)
class DemoOptions:
    """Raises InvalidInput for values that cannot be run."""

    providers: int = 4
    rounds: int | None = None
    """None: the recipe's default."""
    partition: str | None = None
    """A name that fedpact.data.partition.named knows; None: half of the labels at each provider, or
    by group where groups are privacy units."""
    data: str = "digits"
    """A name that fedpact.data.sources knows."""
    family: str | None = None
    """None: the data set's usual one."""
    strategy: str | None = None
    aggregation: str | None = None
    """Both: a name, or name:parameter=value,...; None: the recipe's."""
    store: StoreKind = StoreKind.EMBEDDED
    epsilon: float | None = 4.0
    """None: no privacy, for benchmarks of the protocol alone."""
    mechanism: PaperMechanism | None = None
    """Privacy mode `paper`, with `epsilon` as its claim; None: mode `sound`."""
    poison: int = 0
    poison_kind: PoisonKind | None = None
    """None: the kinds in turn."""
    seed: int = 0
    json: Path | None = None
    report: Path | None = None
    """A folder for the request's report; None: no report."""
    keep: bool = False
    cohort: int | None = None
    """How many providers are drawn for a round; None: all, up to 16."""

    def __post_init__(self) -> None:
        if not 2 <= self.providers <= MAX_POOL:
            raise InvalidInput(f"--providers {self.providers}: must be from 2 to {MAX_POOL}")
        if self.cohort is not None and not 2 <= self.cohort <= min(self.providers, MAX_PROVIDERS):
            raise InvalidInput(
                f"--cohort {self.cohort}: must be from 2 to {min(self.providers, MAX_PROVIDERS)}"
            )
        if not 0 <= self.poison < self.providers:
            raise InvalidInput(
                f"--poison {self.poison}: at least one of {self.providers} must be honest"
            )
        if self.rounds is not None and not 1 <= self.rounds <= 100:
            raise InvalidInput(f"--rounds {self.rounds}: must be from 1 to 100")
        if self.epsilon is not None and not 0 < self.epsilon <= 100:
            raise InvalidInput(f"--epsilon {self.epsilon}: must be above 0 and at most 100")

    @property
    def drawn(self) -> int:
        """How many providers take part in a round."""
        return self.cohort or min(self.providers, MAX_PROVIDERS)

    def poison_of(self, provider: int) -> PoisonKind | None:
        """What provider `provider` (from 0) does wrong, if anything; the last ones are hostile."""
        index = provider - (self.providers - self.poison)
        if index < 0:
            return None
        kinds = list(PoisonKind)
        return self.poison_kind or kinds[index % len(kinds)]
