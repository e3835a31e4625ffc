"""Strategies by the name that a specification gives; adding one is a file and a line here."""

from pydantic import ValidationError

from fedpact.errors import SpecificationError, UnknownName
from fedpact.learning.strategies.algorithm_one import AlgorithmOne
from fedpact.learning.strategies.base import (
    Correction,
    Globals,
    LocalTask,
    Memory,
    Strategy,
)
from fedpact.learning.strategies.ditto import Ditto
from fedpact.learning.strategies.dlmu import DLMU
from fedpact.learning.strategies.fedavg import FedAvg
from fedpact.learning.strategies.fedavgm import FedAvgM
from fedpact.learning.strategies.fedprox import FedProx
from fedpact.learning.strategies.scaffold import Scaffold
from fedpact.types.specification import StrategyChoice
from fedpact.types.validation import first_error

STRATEGIES: dict[str, type[Strategy]] = {
    one.name: one for one in (FedAvg, FedAvgM, DLMU, FedProx, Scaffold, Ditto, AlgorithmOne)
}

__all__ = ["STRATEGIES", "Correction", "Globals", "LocalTask", "Memory", "Strategy", "strategy"]


def strategy(asked: StrategyChoice) -> Strategy:
    """The strategy that a specification names, with its parameters.

    Raises UnknownName, and SpecificationError for an unknown parameter or one out of range.
    """
    if asked.name not in STRATEGIES:
        raise UnknownName(f"strategy {asked.name!r} is unknown: one of {', '.join(STRATEGIES)}")
    try:
        return STRATEGIES[asked.name].model_validate(asked.parameters)
    except ValidationError as error:
        raise SpecificationError(f"strategy {asked.name}: {first_error(error)}") from error
