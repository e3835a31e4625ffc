"""A deployment: which contracts on which chain. Signatures and ciphertexts are bound to it."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

USUAL, LARGE = "usual", "large"


@dataclass(frozen=True)
class Deployment:
    """One set of the contracts.

    A restarted local chain repeats chain ids and addresses, hence the genesis hash.
    Addresses are checksummed (EIP-55), the hash is 0x-prefixed hex.
    """

    chain_id: int
    genesis_hash: str
    registry: str
    market: str
    rounds: str
    block: int
    """Block in which the first was created; event scans start here."""
    versions: dict[str, str]
    """Versions of fedpact and of the compiler."""
    resale: str | None = None
    """The ResaleMarket; None in deployments older than that contract."""
    protocol: int = 1
    """Which protocol the contracts speak."""

    @property
    def contracts(self) -> dict[str, str]:
        """Addresses by the contracts' names."""
        found = {
            "ParticipantRegistry": self.registry,
            "SharingMarket": self.market,
            "LargeRounds" if self.is_large else "TrainingRounds": self.rounds,
        }
        return found if self.resale is None else {**found, "ResaleMarket": self.resale}

    @property
    def is_large(self) -> bool:
        """Whether whole pools train in its rounds, and a committee judges."""
        return False

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that differ between any two deployments.

        `resale` is left out: it only reads the other three, to which seals and votes belong.
        """
        facts = asdict(self)
        identity = [facts[k] for k in ("chain_id", "genesis_hash", "registry", "market", "rounds")]
        return sha256(json.dumps(identity).encode()).digest()


@dataclass(frozen=True, kw_only=True)
class SecondDeployment(Deployment):
    """One set of contracts, created by a factory (docs/protocol.md)."""

    protocol: int = 2
    ledger: str
    pool: str
    factory: str
    min_window: int
    """Shortest window of a request, in seconds."""
    rounds_kind: str = USUAL
    """Of its rounds: USUAL, or LARGE (docs/protocol.md, "Large rounds")."""

    @property
    def is_large(self) -> bool:
        return self.rounds_kind == LARGE

    @property
    def contracts(self) -> dict[str, str]:
        return {
            **super().contracts,
            "ReputationLedger": self.ledger,
            "TrainingPool": self.pool,
        }
