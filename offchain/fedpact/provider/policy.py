"""A provider's policy, and the check of a request against it."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from fedpact.consensus.scoring import NEUTRAL
from fedpact.errors import PolicyRefusal, SettingsError
from fedpact.features.networks.pinned import PINNED_NETWORKS
from fedpact.learning.families import FAMILIES, FLOWER, family_of
from fedpact.learning.packages import packaged
from fedpact.provider.data_entry import DataEntry
from fedpact.types.decline_reason import Reason
from fedpact.types.files import read_toml
from fedpact.types.local_training import fixed_time
from fedpact.types.privacy import CLAIM, PrivacyMode
from fedpact.types.requests import ETHER
from fedpact.types.specification import FamilyChoice, ScoreKind, Specification
from fedpact.types.validation import every_error

ACTED_IN = ("start", "submit", "commit", "reveal", "propose")
"""The windows in which a member acts."""
DIGEST = re.compile("[0-9a-f]{64}")
Token = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


class Policy(BaseModel):
    """A provider's limits; a request that exceeds one is declined, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_pay_per_round: Annotated[int, Field(ge=0)] = 0
    """Wei; least payment of a request / (its rounds x its maximum number of providers)."""
    tokens: dict[Token, Annotated[int, Field(ge=0)]] = {}
    """Tokens in which requests may pay besides ether: address, and the same least payment in the
    token's smallest unit."""
    categories: tuple[str, ...] = ()
    """Categories to serve; empty for any."""
    families: tuple[str, ...] = tuple(FAMILIES)
    """Names of families to serve, fedpact's own or those of installed packages, or `flower:PACKAGE`
    for a Flower app's; or hex sha-256 of packages, as `fedpact family list` shows them, which holds
    until the package changes."""
    networks: tuple[str, ...] = PINNED_NETWORKS
    """Trained networks that a request may stand on: names of fedpact's own, or hex sha-256 of ONNX
    files, which are fetched and tried (`features.networks.trial`) when a request names them."""
    max_parameters: Annotated[int, Field(gt=0)] = 10_000_000
    max_steps_per_round: Annotated[int, Field(gt=0)] = 1_000
    max_rounds: Annotated[int, Field(gt=0)] = 200
    min_window: Annotated[int, Field(ge=0)] = 0
    """Seconds; least length of each window in which a member acts: start, submit, commit, reveal
    and propose. Chains have a floor of their own (five block times, a minute at least)."""
    min_requester_reputation: Annotated[int, Field(ge=0, le=10_000)] = 0
    """1/10,000; least reputation of a requester. One without history has 4,000."""
    accept_without_privacy: bool = False
    """Whether to serve requests of privacy mode `none` (test and benchmark data only)."""
    accept_paper_privacy: bool = False
    """Whether to serve requests of privacy mode `paper`, whose epsilon guarantees nothing."""
    accept_secure_sums: bool = False
    """Whether to serve requests with privacy.sum = "secure": their epsilon holds only if no more
    members of a round collude than the request says. `listen` must be set."""
    min_honest: Annotated[int, Field(ge=2, le=16)] = 2
    """Of secure sums: how many members beside the colluders a sum must have at least. The more, the
    less noise of its own each member adds."""
    accept_unanimous: bool = False
    """Whether to serve requests of approval rule `unanimous`: one member that attests another model
    than the rest then ends a request before its first final round, and nobody is paid. A friend of
    the requester has read the models by then."""
    accept_resale: bool = True
    """Whether to serve requests whose result may be resold."""
    epsilon_per_request: Annotated[float, Field(gt=0)] = 4.0
    epsilon_per_requester: Annotated[float, Field(gt=0)] = 6.0
    """Of all requests of one account together."""
    epsilon_lifetime: Annotated[float, Field(gt=0)] = 8.0
    """Of one data set, and of each unit in whichever data set. Above 20 it counts as 20."""
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """Of all limits."""
    min_pay_per_epsilon: Annotated[int, Field(ge=0)] = 0
    """Wei; least payment of a request / (its maximum number of providers x its epsilon)."""
    tokens_per_epsilon: dict[Token, Annotated[int, Field(ge=0)]] = {}
    """The same of requests that pay in a token, in its smallest unit. Each of `tokens` must have
    one if min_pay_per_epsilon is set: otherwise a token would buy what ether has to pay for."""
    submit_after: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    """Share of the submit window after which a model is submitted, never before: how long training
    takes depends on the records. 0: as soon as it is trained (test and public data only)."""
    profile_epsilon: Annotated[float, Field(gt=0)] = 2.0
    """What the published profile's noised signature costs each record, once per state of the data;
    part of the lifetime budget."""
    profile_without_privacy: bool = False
    """Whether the profile's signature is published without noise (test and public data only)."""
    min_samples: Annotated[int, Field(gt=0)] = 100
    """Least number of own samples for taking part: privacy units under `sound`, otherwise
    examples."""
    max_cost_per_request: Annotated[int, Field(gt=0)] = 5 * 10**16
    """Wei; most to pay for the transactions of one request."""
    max_parallel_training: Annotated[int, Field(gt=0, le=64)] = 2
    """Trainings at the same time, each in a process of its own."""
    max_training_seconds: Annotated[float, Field(gt=0, le=604_800)] = 3600.0
    """Of one round's training; a longer one is killed."""
    training_margin: Annotated[float, Field(ge=0, le=100)] = 1.5
    """How many times as long as a round's training seems to take there must be time for it, or the
    request is declined. It is measured on made-up records before joining. 0: not measured."""
    check_ceilings: bool = True
    """Whether to decline a request whose ceiling (`max_error`) is under 5,000 of contributions: the
    score of a model that neither helps nor harms."""
    try_ceilings: bool = False
    """Whether to try the ceilings of errors on made-up records before joining, and to decline where
    noise leaves no model within it. An estimate: it can decline what honest members would pass."""
    max_training_memory_mb: Annotated[int, Field(ge=128, le=2**24)] = 4096
    """Of one training's process, in 2^20 bytes; one that asks for more fails."""
    data: tuple[DataEntry, ...] = ()
    """Tables `[[data]]`: the data sets to serve, in place of `--data`."""

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """Read a TOML file; raises SettingsError naming the field that is wrong, and for one that
        sets nothing: it may be what a full disk left, and defaults are anybody's limits."""
        fields = read_toml(path, "policy file", SettingsError)
        if not fields:
            raise SettingsError(
                f"policy file {path}: it sets no limit: write at least one, as max_rounds = 200"
            )
        try:
            policy = cls.model_validate(fields)
            every = tuple(one.beside(path.parent) for one in policy.data)
            return policy.model_copy(update={"data": every})
        except ValidationError as error:
            raise SettingsError(f"policy file {path}: {every_error(error)}") from error

    def changes_since(self, before: "Policy") -> list[str]:
        """What differs from another policy, each limit as `name: before -> now`. Of data sets the
        names alone."""
        given = {name: (getattr(before, name), getattr(self, name)) for name in Policy.model_fields}
        listed = given.pop("data")
        found = [f"{name}: {old!r} -> {new!r}" for name, (old, new) in given.items() if old != new]
        changed = [new.name for old, new in zip(*listed, strict=False) if old != new]
        return [*found, *(f"data {name}: its terms" for name in changed)]

    def of_data(self, entry: DataEntry) -> "Policy":
        """The policy on which one of the listed data sets is served."""
        fields = {name: getattr(self, name) for name in self.model_fields_set - {"data"}}
        return Policy.model_validate(fields | entry.policy)

    def check(
        self,
        spec: Specification,
        payment: int,
        parameters: int,
        samples: int,
        epsilon: float,
        token: str = ETHER,
    ) -> None:
        """Raise PolicyRefusal with the first limit that the request exceeds.

        Args:
            payment: in the smallest unit of `token`.
            parameters: of the model.
            samples: that the provider would contribute.
            epsilon: what the request costs a unit at this policy's delta, from its noise: what a
                requester states may be less. 0 without privacy.

        The ledger checks the cost in privacy, because it knows what has been spent.
        """
        share = payment // (spec.rounds * spec.max_providers)
        least, least_per_epsilon = self._least_in(token)
        unit = "wei" if token == ETHER else f"units of {token}"
        steps = spec.local.steps_for(samples)
        length, shortest = min((getattr(spec.windows, one), one) for one in ACTED_IN)
        network, longest = family_of(spec).network(spec), fixed_time(spec.local)
        refusals = (
            (
                Reason.CATEGORY,
                f"category {spec.category!r} is not among {list(self.categories)}",
                bool(self.categories) and spec.category not in self.categories,
            ),
            (
                Reason.FAMILY,
                f"family {spec.family.name!r} is not among {list(self.families)}",
                not self._serves(spec.family),
            ),
            (
                Reason.NETWORK,
                f"network {network and network[0]} (sha-256 {network and network[1]}) is not among "
                f"{list(self.networks)}",
                network is not None and not self._accepts(*network),
            ),
            (
                Reason.PAY,
                f"pay of {share} {unit} per round and provider is under {least}",
                share < least,
            ),
            (
                Reason.PAY,
                f"pay of {share * spec.rounds} {unit} for epsilon {epsilon:.3g} is under "
                f"{least_per_epsilon} an epsilon",
                share * spec.rounds < least_per_epsilon * epsilon,
            ),
            (
                Reason.SIZE,
                f"{parameters} parameters are over {self.max_parameters}",
                parameters > self.max_parameters,
            ),
            (
                Reason.SIZE,
                f"{steps} steps per round are over {self.max_steps_per_round}",
                steps > self.max_steps_per_round,
            ),
            (
                Reason.SIZE,
                f"its app may take {longest:g} s a round, over {self.max_training_seconds:g}",
                longest > self.max_training_seconds,
            ),
            (
                Reason.SIZE,
                f"{spec.rounds} rounds are over {self.max_rounds}",
                spec.rounds > self.max_rounds,
            ),
            (
                Reason.WINDOWS,
                f"its window to {shortest} of {length} s is under {self.min_window} s",
                length < self.min_window,
            ),
            (
                Reason.CEILING,
                f"a ceiling of {spec.max_error} is under {NEUTRAL}: it leaves out models that"
                " neither help nor harm",
                self.check_ceilings
                and spec.score is ScoreKind.CONTRIBUTION
                and spec.max_error < NEUTRAL,
            ),
            (
                Reason.SAMPLES,
                f"{samples} own samples are under {self.min_samples}",
                samples < self.min_samples,
            ),
            (
                Reason.SUMS,
                "secure sums are not accepted: their privacy depends on other members",
                spec.privacy.sum is not None and not self.accept_secure_sums,
            ),
            (
                Reason.SUMS,
                f"secure sums of {spec.privacy.honest} honest members are under {self.min_honest}",
                spec.privacy.honest is not None and spec.privacy.honest < self.min_honest,
            ),
            (
                Reason.APPROVAL,
                "the unanimous rule is not accepted: one member could keep all others unpaid",
                spec.approval_rule == "unanimous" and not self.accept_unanimous,
            ),
            (
                Reason.RESALE,
                "resale of the result is not accepted",
                spec.resale is not None and not self.accept_resale,
            ),
            (
                Reason.PRIVACY,
                "privacy mode none is not accepted",
                spec.privacy.mode is PrivacyMode.NONE and not self.accept_without_privacy,
            ),
            (
                Reason.PRIVACY,
                f"privacy mode paper is not accepted: its epsilon is {CLAIM}",
                spec.privacy.mode is PrivacyMode.PAPER and not self.accept_paper_privacy,
            ),
        )
        for reason, said, refused in refusals:
            if refused:
                raise PolicyRefusal(said, reason)

    def check_requester(self, reputation: int) -> None:
        """Raise PolicyRefusal for a requester whose reputation (1/10,000) is too low."""
        if reputation < self.min_requester_reputation:
            raise PolicyRefusal(
                f"the requester's reputation of {reputation} is under"
                f" {self.min_requester_reputation}",
                Reason.REQUESTER,
            )

    @field_validator("tokens", "tokens_per_epsilon")
    @classmethod
    def _once(cls, listed: dict[str, int]) -> dict[str, int]:
        for address, times in Counter(one.lower() for one in listed).items():
            if times > 1:
                raise ValueError(f"{address} is listed twice")
        return listed

    @model_validator(mode="after")
    def _prices(self) -> Self:
        taken, priced = _by_address(self.tokens), _by_address(self.tokens_per_epsilon)
        for one in self.tokens_per_epsilon:
            if one.lower() not in taken:
                raise ValueError(f"tokens_per_epsilon: {one} is not among tokens")
        for one in self.tokens:
            if self.min_pay_per_epsilon and one.lower() not in priced:
                raise ValueError(
                    f"min_pay_per_epsilon is for ether alone: say in tokens_per_epsilon what {one}"
                    " must pay for an epsilon (0: no price)"
                )
        return self

    @model_validator(mode="after")
    def _entries(self) -> Self:
        names = [one.name for one in self.data]
        if len(set(names)) != len(names):
            raise ValueError("data: two data sets have one name")
        for one in self.data:
            try:
                self.of_data(one)
            except ValidationError as error:
                raise ValueError(f"data {one.name}: policy: {every_error(error)}") from error
        return self

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        known = {*FAMILIES, *packaged()}
        for one in families:
            if one == FLOWER:
                raise ValueError(
                    f"{FLOWER!r} is a family of many apps: list each, as in 'flower:PACKAGE'"
                )
            if one.startswith(f"{FLOWER}:"):
                continue
            if one not in known and not DIGEST.fullmatch(one):
                raise ValueError(
                    f"{one!r} is not a family of fedpact or of an installed package: there are "
                    f"{', '.join(sorted(known))}"
                )
        return families

    def _serves(self, asked: FamilyChoice) -> bool:
        """Whether a family is listed, by its name or by its package's digest."""
        if asked.package is None:
            return asked.name != FLOWER and asked.name in self.families
        flower = asked.name == FLOWER
        name = f"{FLOWER}:{asked.package.name}" if flower else asked.name
        return name in self.families or asked.package.digest in self.families

    def _least_in(self, token: str) -> tuple[int, int]:
        """Least pay per round, and per epsilon; raises PolicyRefusal for a token that is not
        listed."""
        if token == ETHER:
            return self.min_pay_per_round, self.min_pay_per_epsilon
        per_round = _by_address(self.tokens).get(token.lower())
        if per_round is None:
            raise PolicyRefusal(
                f"it pays in the token {token}, which is not among {list(self.tokens)}", Reason.PAY
            )
        return per_round, _by_address(self.tokens_per_epsilon).get(token.lower(), 0)

    def _accepts(self, name: str, digest: str) -> bool:
        """Whether a network is listed: by its digest, or by a name that fedpact pins to one."""
        return digest in self.networks or (name in self.networks and name in PINNED_NETWORKS)


def _by_address(tokens: dict[str, int]) -> dict[str, int]:
    """Addresses may be written with a checksum in their letters' case, or without."""
    return {address.lower(): least for address, least in tokens.items()}
