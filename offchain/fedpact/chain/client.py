"""The contracts of one deployment of either protocol, over one connection."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from fedpact.chain.bindings.events import RequestEvent, request_event
from fedpact.chain.bindings.first_protocol.market import Market as FirstMarket
from fedpact.chain.bindings.first_protocol.registry import Registry as FirstRegistry
from fedpact.chain.bindings.first_protocol.resale import ResaleMarket as FirstResale
from fedpact.chain.bindings.first_protocol.rounds import Rounds as FirstRounds
from fedpact.chain.bindings.large_rounds import LargeRounds
from fedpact.chain.bindings.market import Market
from fedpact.chain.bindings.pool import Pool
from fedpact.chain.bindings.registry import Registry
from fedpact.chain.bindings.reputation import Reputation
from fedpact.chain.bindings.resale import ResaleMarket
from fedpact.chain.bindings.rounds import AnyRounds, Rounds
from fedpact.chain.connection import Connection
from fedpact.chain.scanner import EventScanner, indexed
from fedpact.errors import DeploymentError
from fedpact.types.deployment import Deployment, SecondDeployment


class FirstClient(Connection):
    """A connection to contracts of the first protocol, which are read and no longer called."""

    @cached_property
    def registry(self) -> FirstRegistry:
        return FirstRegistry(self, self.deployment.registry)

    @cached_property
    def market(self) -> FirstMarket:
        return FirstMarket(self, self.deployment.market, self.rounds)

    @cached_property
    def rounds(self) -> FirstRounds:
        return FirstRounds(self, self.deployment.rounds)

    @cached_property
    def resale(self) -> FirstResale:
        """Raises DeploymentError if the deployment is older than ResaleMarket."""
        return FirstResale(self, _resale_of(self.deployment))


class ChainClient(Connection):
    """A connection with a binding for each contract. Made by `connect`.

    Raises DeploymentError where the deployment is of the first protocol.
    """

    @property
    def deployment(self) -> SecondDeployment:
        found = super().deployment
        if not isinstance(found, SecondDeployment):
            raise DeploymentError("the deployment file describes contracts of the first protocol")
        return found

    @cached_property
    def registry(self) -> Registry:
        return Registry(self, self.deployment.registry, self.reputation)

    @cached_property
    def reputation(self) -> Reputation:
        return Reputation(self, self.deployment.ledger)

    @cached_property
    def pool(self) -> Pool:
        return Pool(self, self.deployment.pool)

    @cached_property
    def any_rounds(self) -> AnyRounds:
        """What both kinds of rounds have."""
        kind = LargeRounds if self.deployment.is_large else Rounds
        return kind(self, self.deployment.rounds)

    @property
    def rounds(self) -> Rounds:
        """Raises DeploymentError where the deployment has large rounds."""
        found = self.any_rounds
        if not isinstance(found, Rounds):
            raise DeploymentError("this deployment is for large rounds, which have no such call")
        return found

    @property
    def large(self) -> LargeRounds:
        """Raises DeploymentError where the deployment has usual rounds."""
        found = self.any_rounds
        if not isinstance(found, LargeRounds):
            raise DeploymentError("this deployment is not for large rounds")
        return found

    @cached_property
    def market(self) -> Market:
        return Market(self, self.deployment.market, self.pool)

    @cached_property
    def resale(self) -> ResaleMarket:
        """Raises DeploymentError if the deployment is older than ResaleMarket."""
        return ResaleMarket(self, _resale_of(self.deployment))

    def request_scanner(self, request: int, since: int | None = None) -> EventScanner:
        """Over all events of a request; `since`: the block of its creation, if it is known."""
        here = self.deployment
        return EventScanner(
            self,
            self.market.created(request).at.block if since is None else since,
            addresses=[one for one in (here.market, here.pool, here.rounds, here.resale) if one],
            topics=[None, indexed(request)],
        )

    def request_events(
        self, request: int, until: type[RequestEvent] | None = None
    ) -> Iterator[RequestEvent]:
        """All events of a request in chain order; with `until`, those up to the first event of this
        kind, however long the chain has become since. Raises UnknownRequest."""
        for event in self.request_scanner(request).scan():
            found = request_event(event)
            if found is not None:
                yield found
                if until is not None and isinstance(found, until):
                    return


def _resale_of(deployment: Deployment) -> str:
    if deployment.resale is None:
        raise DeploymentError(
            "this deployment has no ResaleMarket: it is older than that contract; "
            "to record searches and resell results, deploy again (`fedpact deploy`)"
        )
    return deployment.resale


AnyClient = FirstClient | ChainClient
"""Of a deployment of either protocol, for what both do alike."""


def connect_to(endpoint: str | Sequence[str], deployment: Deployment, **options: Any) -> AnyClient:
    """Connect to the deployment's chain, with its protocol's client; see Connection.connect."""
    if isinstance(deployment, SecondDeployment):
        return ChainClient.connect(endpoint, deployment, **options)
    return FirstClient.connect(endpoint, deployment, **options)
