"""ParticipantRegistry: admission, keys, profiles."""

from typing import Any

from fedpact.chain.abi import REGISTRY, SECOND
from fedpact.chain.bindings.admissions import Admissions
from fedpact.chain.bindings.binding import snake
from fedpact.chain.bindings.reputation import Reputation
from fedpact.chain.connection import Connection
from fedpact.chain.records import BlockReference
from fedpact.types.participants import Participant, ParticipantStatus


class Registry(Admissions):
    """What contracts/interfaces/IParticipantRegistry.sol documents."""

    NAME = REGISTRY
    PROTOCOL = SECOND

    def __init__(self, connection: Connection, address: str, ledger: Reputation) -> None:
        super().__init__(connection, address)
        self._ledger = ledger

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
