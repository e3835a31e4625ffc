"""ReputationLedger: reputations of providers and requesters, apart from any market."""

from fedpact.chain.abi import LEDGER, SECOND
from fedpact.chain.bindings.binding import Binding
from fedpact.chain.records import BlockReference, Call


class Reputation(Binding):
    """What contracts/interfaces/IReputationLedger.sol documents; scores are 0 to 10,000."""

    NAME = LEDGER
    PROTOCOL = SECOND

    def reputation(self, account: str, block: BlockReference = None) -> int:
        """A provider's; 4,000 without history."""
        return int(self._view("reputation", account, block=block))

    def requester_reputation(self, account: str, block: BlockReference = None) -> int:
        """A requester's; 4,000 without history."""
        return int(self._view("requesterReputation", account, block=block))

    def weight_of(self, token: str, amount: int, block: BlockReference = None) -> int:
        """What a payment weighs in reputations, 0 to 100."""
        return int(self._view("weightOf", token, amount, block=block))

    def unit_of(self, token: str, block: BlockReference = None) -> int:
        """The amount that gives weight 1; 0: the token weighs nothing."""
        return int(self._view("unitOf", token, block=block))

    def is_recorder(self, account: str, block: BlockReference = None) -> bool:
        return bool(self._view("isRecorder", account, block=block))

    def delay(self, block: BlockReference = None) -> int:
        """Seconds between an announcement and its effect."""
        return int(self._view("delay", block=block))

    def registrar(self, block: BlockReference = None) -> str:
        return str(self._view("registrar", block=block))

    # Registrar

    def announce_recorder(self, account: str, allowed: bool) -> Call:
        return self.own_function("announceRecorder", account, allowed)

    def announce_unit(self, token: str, unit: int) -> Call:
        return self.own_function("announceUnit", token, unit)

    def transfer_registrar(self, to: str) -> Call:
        return self.own_function("transferRegistrar", to)

    def accept_registrar(self) -> Call:
        return self.own_function("acceptRegistrar")
