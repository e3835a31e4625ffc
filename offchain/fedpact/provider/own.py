"""A provider's own side of a request: what it decides and trains with, without the chain."""

from collections.abc import Callable
from dataclasses import dataclass

from fedpact.chain.keystore import AccountKeys
from fedpact.privacy.budget import PrivacyLimit
from fedpact.privacy.ledger import Ledger, Payers
from fedpact.provider.policy import Policy
from fedpact.provider.records import OwnRecords
from fedpact.provider.trainer import Trainer


@dataclass(frozen=True)
class Own:
    """What belongs to one provider."""

    keys: AccountKeys
    policy: Policy
    records: OwnRecords
    trainer: Trainer
    ledger: Ledger
    """For the thread that made it alone."""
    open_ledger: Callable[[], Ledger]
    """Opens the same ledger for another thread, which closes it."""

    @property
    def limit(self) -> PrivacyLimit:
        """The lifetime budget of the data set, and of every unit in it."""
        return PrivacyLimit(self.policy.epsilon_lifetime, self.policy.delta)

    def payers(self, requester: str) -> Payers:
        """Who is charged for a request of this account, within which limits."""
        return Payers(
            self.records.schema.data_id,
            requester,
            self.limit,
            PrivacyLimit(self.policy.epsilon_per_requester, self.policy.delta),
        )
