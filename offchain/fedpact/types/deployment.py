"""Which contracts, on which chain: what signatures, checkpoints and ciphertexts are bound to."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256


@dataclass(frozen=True)
class Deployment:
    """One set of the contracts.

    A local chain that is started anew repeats chain ids and addresses, hence the genesis hash.
    Addresses are checksummed (EIP-55), the hash is 0x-prefixed hex.
    """

    chain_id: int
    genesis_hash: str
    registry: str
    market: str
    rounds: str
    block: int
    """Block of the first of them; scanning for events starts here."""
    versions: dict[str, str]
    """Of fedpact and of the compiler."""
    cache: str | None = None
    """The ResultCache; None in deployments from before there was one."""

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that differ between any two deployments.

        The cache is left out: it only reads the other three, and seals and votes are theirs.
        """
        facts = asdict(self)
        identity = [facts[k] for k in ("chain_id", "genesis_hash", "registry", "market", "rounds")]
        return sha256(json.dumps(identity).encode()).digest()
