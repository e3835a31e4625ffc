"""Who takes part: what the registry says of an account, and the registrar's admission of one."""

from dataclasses import dataclass
from enum import IntEnum


class ParticipantStatus(IntEnum):
    """Standing of an account in the registry."""

    NONE = 0
    ACTIVE = 1
    SUSPENDED = 2


@dataclass(frozen=True)
class Participant:
    """An account as the registry stores it; status NONE and zeros for a stranger."""

    account: str
    organisation: int
    status: ParticipantStatus
    key_version: int
    """1 at registration, one more with each new encryption key."""
    registered_at: int
    attested: bool
    """Whether the registrar has vouched for the attributes of the present profile."""
    encryption_key: bytes
    """X25519 public key, 32 bytes."""
    profile_hash: bytes
    """keccak256(abi.encode(profile, attributesRoot))."""
    reputation: int
    """0 to 10,000."""

    @property
    def active(self) -> bool:
        return self.status is ParticipantStatus.ACTIVE


@dataclass(frozen=True)
class Voucher:
    """The registrar's admission of one account (IParticipantRegistry.Voucher)."""

    account: str
    organisation: int
    nonce: int
    """By which the registrar may revoke it."""
    expiry: int
    """Last second in which it is good."""


@dataclass(frozen=True)
class SignedVoucher:
    """A voucher with the registrar's signature and the registry that it is good for."""

    voucher: Voucher
    signature: bytes
    chain_id: int
    registry: str
