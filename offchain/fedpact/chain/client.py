"""The contracts of one deployment, over one connection."""

from functools import cached_property

from fedpact.chain.bindings.market import Market
from fedpact.chain.bindings.registry import Registry
from fedpact.chain.bindings.resale import ResaleMarket
from fedpact.chain.bindings.rounds import Rounds
from fedpact.chain.connection import Connection
from fedpact.errors import DeploymentError


class ChainClient(Connection):
    """A connection with a binding for each contract of its deployment. Made by `connect`."""

    @cached_property
    def registry(self) -> Registry:
        return Registry(self, self.deployment.registry)

    @cached_property
    def market(self) -> Market:
        return Market(self, self.deployment.market, self.rounds)

    @cached_property
    def rounds(self) -> Rounds:
        return Rounds(self, self.deployment.rounds)

    @cached_property
    def resale(self) -> ResaleMarket:
        """Raises DeploymentError if the deployment is older than ResaleMarket."""
        address = self.deployment.resale
        if address is None:
            raise DeploymentError(
                "this deployment has no ResaleMarket: it is older than that contract; "
                "to resell results, deploy again (`fedpact deploy`)"
            )
        return ResaleMarket(self, address)
