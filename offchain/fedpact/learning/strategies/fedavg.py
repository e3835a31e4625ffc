"""Federated averaging (McMahan et al. 2017, algorithm 1)."""

from fedpact.learning.strategies.base import Strategy


class FedAvg(Strategy):
    """All providers train from the global model; the aggregate is the next one."""

    name = "fedavg"
