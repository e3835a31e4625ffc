"""What a draft may say in its table `terms`: conditions that only the chain has.

Everything that decides how models are trained and judged is in the specification. `cohort` is its
`max_providers`, `attest_window` its window `propose`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from eth_utils.address import to_checksum_address
from pydantic import Field, ValidationError, model_validator

from fedpact.consensus.large_rounds import MAX_POOL as MAX_LARGE_POOL
from fedpact.consensus.large_rounds import MAX_ROUNDS as MAX_LARGE_ROUNDS
from fedpact.content.bn254 import Point
from fedpact.errors import SpecificationError
from fedpact.requester.amount import parse_amount
from fedpact.types.cid import Cid
from fedpact.types.deployment import LARGE
from fedpact.types.document import Document
from fedpact.types.requests import ETHER, Terms, WeightRule
from fedpact.types.specification import Account, JudgedOn, Specification
from fedpact.types.validation import every_error

GWEI = 10**9
PRICE_STEP = 10**6
"""Gas prices are stored in 1/1,000 gwei."""
LARGEST = 2**32 - 1
"""Of gas a round, in gwei, and of gas prices, in 1/1,000 gwei."""
MAX_POOL = 65_535
LONGEST_WINDOW = 30 * 24 * 3600
"""Seconds (contracts/libraries/TermsCheck.sol)."""

_RULES = {rule.name.lower(): rule for rule in WeightRule}


class MarketTerms(Document):
    """The table `terms` of a draft."""

    min_pool: Annotated[int, Field(ge=2, le=MAX_POOL)] | None = None
    """Default: the specification's min_providers."""
    max_pool: Annotated[int, Field(ge=2, le=MAX_POOL)] | None = None
    """Default: the specification's max_providers: all take part in every round."""
    weight_rule: Literal["uniform", "samples", "reputation"] = "uniform"
    """How likely a member of a larger pool is drawn for a round."""
    sample_cap: Annotated[int, Field(ge=0, le=MAX_POOL)] = 0
    """Most samples that count in a draw; with weight_rule samples alone, and then from 1 on."""
    gas_per_round: str = "0.01 ether"
    """Most that the posters of one round are refunded. Held for every round, in ether."""
    max_gas_price: str = "50 gwei"
    """Highest gas price that is refunded."""
    dispute_window: Annotated[int, Field(gt=0, le=LONGEST_WINDOW)] = 600
    """Seconds in which the requester may show that the delivered key is wrong."""
    token: Account | None = None
    """ERC-20 token of the pay; None: ether. Gas is refunded in ether all the same."""
    openers: Annotated[tuple[Account, ...], Field(max_length=8)] = ()
    """Accounts that may open evaluation slices besides the requester."""
    rounds_kind: Literal["usual", "large"] = "usual"
    """Large: the whole pool trains in each round, but for a drawn committee of max_providers, which
    judges. That of the deployment in use."""

    @classmethod
    def read(cls, table: Any) -> Self:
        """Raises SpecificationError."""
        try:
            return cls.model_validate(_listed(table), strict=False)
        except ValidationError as error:
            raise SpecificationError(f"draft: terms: {every_error(error)}") from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.weight_rule == "samples") != (self.sample_cap > 0):
            raise ValueError("sample_cap goes with weight_rule samples, and it alone")
        return self

    @model_validator(mode="after")
    def _fits_large_rounds(self) -> Self:
        if self.rounds_kind == LARGE and (self.max_pool or 0) > MAX_LARGE_POOL:
            raise ValueError(f"large rounds take pools of at most {MAX_LARGE_POOL}")
        return self

    @property
    def pays_in(self) -> str:
        """The token's checksummed address; ETHER for ether."""
        return ETHER if self.token is None else to_checksum_address(self.token)

    def complete(self, spec: Specification, delivery_key: Point, pay: int) -> Terms:
        """All terms of a request with this specification.

        `delivery_key`: the requester's; `pay`: in the token's smallest unit.
        Raises SpecificationError, InvalidInput.
        """
        large = self.rounds_kind == LARGE
        least = spec.max_providers + 1 if large else spec.min_providers
        pool = (self.min_pool or least, self.max_pool or spec.max_providers)
        if large:
            _require_large(spec, pool[0])
        if pool[0] > pool[1]:
            raise SpecificationError(
                f"draft: terms: min_pool {pool[0]} is above max_pool {pool[1]}"
            )
        windows = spec.windows
        return Terms(
            specification=Cid.of(spec.encode()).digest,
            evaluation=spec.evaluation_digest,
            initial_model=Cid.parse(spec.initial_model).digest,
            query_key=spec.query_key,
            delivery_key_x=delivery_key.x,
            delivery_key_y=delivery_key.y,
            token=self.pays_in,
            pay=pay,
            gas_per_round=_rounded("gas_per_round", self.gas_per_round, GWEI),
            max_gas_price=_rounded("max_gas_price", self.max_gas_price, PRICE_STEP),
            min_pool=pool[0],
            max_pool=pool[1],
            cohort=spec.max_providers,
            weight_rule=_RULES[self.weight_rule],
            sample_cap=self.sample_cap,
            max_rounds=spec.rounds,
            max_error=spec.max_error,
            target=spec.target,
            leader_rule=spec.chain_leader_rule,
            approval_rule=spec.chain_approval_rule,
            vote_band=spec.vote_band,
            join_window=windows.join,
            start_window=windows.start,
            submit_window=windows.submit,
            commit_window=windows.commit,
            reveal_window=windows.reveal,
            attest_window=windows.propose,
            deliver_window=windows.deliver,
            dispute_window=self.dispute_window,
            openers=self.openers,
        )


def _require_large(spec: Specification, min_pool: int) -> None:
    """Raise SpecificationError for what large rounds cannot do."""
    if min_pool <= spec.max_providers:
        raise SpecificationError(
            f"draft: terms: min_pool {min_pool} leaves nobody to train: a committee of"
            f" max_providers {spec.max_providers} judges, so ask for {spec.max_providers + 1}"
        )
    if spec.rounds > MAX_LARGE_ROUNDS:
        raise SpecificationError(
            f"draft: {spec.rounds} rounds: large rounds take at most {MAX_LARGE_ROUNDS}"
        )
    if spec.privacy.sum is not None:
        raise SpecificationError("draft: large rounds have no secure sums: leave out privacy.sum")
    if spec.judged_on is not JudgedOn.SLICES:
        raise SpecificationError("draft: the judges of large rounds judge on slices: judged_on")


def _rounded(name: str, text: str, step: int) -> int:
    wei = parse_amount(text)
    if wei % step or wei // step > LARGEST:
        raise SpecificationError(
            f"draft: terms: {name} {text!r} is not a multiple of {step} wei up to {LARGEST * step}"
        )
    return wei


def _listed(table: Any) -> Any:
    """TOML and JSON have lists where the document has tuples."""
    if not isinstance(table, Mapping):
        return table
    return {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
