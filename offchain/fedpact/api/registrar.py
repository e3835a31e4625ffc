"""The account as the registrar: who takes part."""

from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.errors import InvalidInput
from fedpact.types.paths import path_of

if TYPE_CHECKING:
    from fedpact.session import Session
    from fedpact.types.participants import Participant

SECONDS_PER_DAY = 24 * 3600


class Registrar:
    """What `fedpact registrar` does, for the account of a market (`Market.registrar`). All but the
    list needs the registrar's key, and raises InvalidInput or Reverted with another."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    @property
    def participants(self) -> "list[Participant]":
        """All accounts ever registered, in order of registration."""
        from fedpact.operator import participants

        return participants.participants(self._session.client)

    def voucher(
        self, account: str, organisation: int, output: Path | str, *, days: int = 7
    ) -> Path:
        """Write a voucher with which an account (address or name) can register itself for `days`
        days; returns its file."""
        from fedpact.chain.vouchers import encode_voucher
        from fedpact.operator import participants

        at, path = self._session, path_of("output", output)
        signed = participants.new_voucher(
            at.client, at.keys, at.address_of(account), organisation, days * SECONDS_PER_DAY
        )
        try:
            path.write_text(encode_voucher(signed), encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
        return path

    def admit(self, account: str, organisation: int, encryption_key: str) -> None:
        """Register an account directly; `encryption_key`: its X25519 public key, 64 hex digits."""
        from fedpact.operator import participants

        at = self._session
        address = at.address_of(account)
        participants.admit(at.client, at.keys, address, organisation, encryption_key)

    def revoke(self, voucher: int) -> None:
        """Revoke an unused voucher by its number."""
        self._session.client.registry.revoke_voucher(self._session.keys, voucher)

    def suspend(self, account: str) -> None:
        """Bar an account from new requests, after the deployment's delay."""
        at = self._session
        at.client.registry.suspend(at.keys, at.address_of(account))

    def restore(self, account: str) -> None:
        """Make a suspended account active again."""
        at = self._session
        at.client.registry.restore(at.keys, at.address_of(account))
