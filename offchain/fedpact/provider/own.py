"""A provider's own side of a request: what it decides and trains with, without the chain."""

from collections.abc import Callable
from dataclasses import dataclass

from fedpact.chain.keystore import AccountKeys
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.provider.data_sets import OwnData
from fedpact.provider.policy import Policy
from fedpact.provider.training.trainer import Trainer


@dataclass(frozen=True)
class Own:
    """What belongs to one provider."""

    keys: AccountKeys
    policy: Policy
    """Of the whole daemon; each data set has the one on which it is served."""
    data: tuple[OwnData, ...]
    """In the order in which they are asked whether they fit a request."""
    trainer: Trainer
    ledger: Ledger
    """For the thread that made it alone."""
    open_ledger: Callable[[], Ledger]
    """Opens the same ledger for another thread, which closes it."""
