"""Participants as the registry stores them, and the vouchers that admit them."""

from dataclasses import dataclass
from enum import IntEnum


class ParticipantStatus(IntEnum):
    """Status of an account in the registry."""

    NONE = 0
    ACTIVE = 1
    SUSPENDED = 2


@dataclass(frozen=True)
class Participant:
    """An account as the registry stores it; status NONE and zeros if unregistered."""

    account: str
    organisation: int
    status: ParticipantStatus
    key_version: int
    """1 at registration; each new encryption key adds one."""
    registered_at: int
    attested: bool
    """Whether the registrar has vouched for the attributes of the present profile."""
    encryption_key: bytes
    """X25519 public key, 32 bytes."""
    profile_hash: bytes
    """keccak256(abi.encode(profile, attributesRoot))."""
    reputation: int
    """0 to 10,000."""
    suspended_from: int = 0
    """First second of a suspension, which may lie ahead; 0: none."""

    @property
    def active(self) -> bool:
        return self.status is ParticipantStatus.ACTIVE


@dataclass(frozen=True)
class Voucher:
    """The registrar's admission of one account (IParticipantRegistry.Voucher)."""

    account: str
    organisation: int
    nonce: int
    """The registrar revokes the voucher by this number."""
    expiry: int
    """Last second in which it is valid."""


@dataclass(frozen=True)
class SignedVoucher:
    """A voucher with the registrar's signature and the registry for which it is valid."""

    voucher: Voucher
    signature: bytes
    chain_id: int
    registry: str
