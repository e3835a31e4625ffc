"""ParticipantRegistry of the first protocol."""

from fedpact.chain.abi import FIRST, REGISTRY
from fedpact.chain.bindings.binding import Binding, snake
from fedpact.chain.records import BlockReference
from fedpact.types.participants import Participant, ParticipantStatus


class Registry(Binding):
    NAME = REGISTRY
    PROTOCOL = FIRST

    def participant(self, account: str, block: BlockReference = None) -> Participant:
        """The participant as stored; status NONE if unregistered."""
        found = snake(self._view("participant", account, block=block))
        return Participant(
            account=account, **{**found, "status": ParticipantStatus(found["status"])}
        )

    def reputation(self, account: str, block: BlockReference = None) -> int:
        """0 to 10,000."""
        return int(self._view("reputation", account, block=block))

    def reputation_unit(self, block: BlockReference = None) -> int:
        """The payment that gives an outcome weight 1, in wei."""
        return int(self._view("reputationUnit", block=block))
