"""The contracts' structs as the codec takes and gives them."""

from collections.abc import Mapping
from typing import Any

from fedpact.chain.addresses import checksum
from fedpact.chain.bindings.binding import camel, snake
from fedpact.types.requests import ApprovalRule, LeaderRule, PoolMember, Start, Terms, WeightRule


def terms_of(struct: Mapping[str, Any]) -> Terms:
    """Terms from the `terms` of a RequestCreated event."""
    found = snake(struct)
    return Terms(
        **{
            **found,
            "weight_rule": WeightRule(found["weight_rule"]),
            "leader_rule": LeaderRule(found["leader_rule"]),
            "approval_rule": ApprovalRule(found["approval_rule"]),
            "openers": tuple(found["openers"]),
        }
    )


def terms_struct(terms: Terms) -> dict[str, Any]:
    """Terms as the market's functions take them."""
    return {**camel(terms), "openers": list(terms.openers)}


def start_of(struct: Mapping[str, Any]) -> Start:
    """The facts of a start from its event."""
    return Start(**snake(struct))


def member_of(word: int) -> PoolMember:
    """A member from its word (contracts/libraries/PoolMember.sol)."""
    return PoolMember(
        account=checksum((word >> 72 & (1 << 160) - 1).to_bytes(20, "big")),
        organisation=word >> 232,
        samples=word >> 48 & 0xFFFFFF,
        reputation=word >> 32 & 0xFFFF,
        weight_sum=word & 0xFFFFFFFF,
    )
