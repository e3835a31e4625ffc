"""ParticipantRegistry: admission, keys, profiles."""

from collections.abc import Sequence
from typing import Any

from fedpact.chain.abi import REGISTRY, SECOND
from fedpact.chain.bindings.binding import Binding, camel, snake
from fedpact.chain.bindings.reputation import Reputation
from fedpact.chain.connection import Connection
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Receipt
from fedpact.types.participants import Participant, ParticipantStatus, SignedVoucher, Voucher


class Registry(Binding):
    """What contracts/interfaces/IParticipantRegistry.sol documents; digests and keys are 32
    bytes."""

    NAME = REGISTRY
    PROTOCOL = SECOND

    def __init__(self, connection: Connection, address: str, ledger: Reputation) -> None:
        super().__init__(connection, address)
        self._ledger = ledger

    # Participants

    def register(
        self,
        keys: AccountKeys,
        voucher: SignedVoucher,
        encryption_key: bytes,
        profile: bytes,
        attributes_root: bytes,
    ) -> Receipt:
        """Register the caller by a voucher; `encryption_key` is its X25519 public key."""
        return self._send(
            keys,
            "register",
            camel(voucher.voucher),
            voucher.signature,
            encryption_key,
            profile,
            attributes_root,
        )

    def set_encryption_key(self, keys: AccountKeys, encryption_key: bytes) -> Receipt:
        return self._send(keys, "setEncryptionKey", encryption_key)

    def set_profile(self, keys: AccountKeys, profile: bytes, attributes_root: bytes) -> Receipt:
        return self._send(keys, "setProfile", profile, attributes_root)

    # Registrar

    def admit(
        self,
        keys: AccountKeys,
        account: str,
        organisation: int,
        encryption_key: bytes,
        profile: bytes,
        attributes_root: bytes,
    ) -> Receipt:
        """Register an account without a voucher."""
        return self._send(
            keys, "admit", account, organisation, encryption_key, profile, attributes_root
        )

    def revoke_voucher(self, keys: AccountKeys, nonce: int) -> Receipt:
        return self._send(keys, "revokeVoucher", nonce)

    def suspend(self, keys: AccountKeys, account: str) -> Receipt:
        return self._send(keys, "suspend", account)

    def restore(self, keys: AccountKeys, account: str) -> Receipt:
        return self._send(keys, "restore", account)

    def attest_attributes(self, keys: AccountKeys, account: str, profile_hash: bytes) -> Receipt:
        return self._send(keys, "attestAttributes", account, profile_hash)

    def transfer_registrar(self, keys: AccountKeys, to: str) -> Receipt:
        return self._send(keys, "transferRegistrar", to)

    def accept_registrar(self, keys: AccountKeys) -> Receipt:
        return self._send(keys, "acceptRegistrar")

    # Views

    def participant(self, account: str, block: BlockReference = None) -> Participant:
        """The participant as stored, with its reputation; status NONE if unregistered."""
        ledger = self._ledger
        stored, score = self._connection.read(
            [self.function("participant", account), ledger.function("reputation", account)], block
        )
        found: dict[str, Any] = snake(self.decoded("participant", stored))
        found["status"] = ParticipantStatus(found["status"])
        return Participant(
            account=account, reputation=int(ledger.decoded("reputation", score)), **found
        )

    def suspension_delay(self, block: BlockReference = None) -> int:
        """Seconds between the announcement of a suspension and its first second."""
        return int(self._view("suspensionDelay", block=block))

    def registrar(self, block: BlockReference = None) -> str:
        return str(self._view("registrar", block=block))

    def voucher_revoked(self, nonce: int, block: BlockReference = None) -> bool:
        return bool(self._view("voucherRevoked", nonce, block=block))

    def voucher_digest(self, voucher: Voucher, block: BlockReference = None) -> bytes:
        """What the registrar signs: the EIP-712 digest, as the contract computes it."""
        return bytes(self._view("voucherDigest", camel(voucher), block=block))

    def verify_attribute(
        self,
        account: str,
        profile: bytes,
        attributes_root: bytes,
        proof: Sequence[bytes],
        name: bytes,
        value: bytes,
        salt: bytes,
        block: BlockReference = None,
    ) -> tuple[bool, bool]:
        """Whether the attribute belongs to the current profile, and whether it is attested."""
        holds, attested = self._view(
            "verifyAttribute",
            account,
            profile,
            attributes_root,
            proof,
            name,
            value,
            salt,
            block=block,
        )
        return bool(holds), bool(attested)
