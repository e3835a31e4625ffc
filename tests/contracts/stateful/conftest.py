"""The contracts, as the tests of rounds have them."""

from tests.contracts.rounds.conftest import contracts

__all__ = ["contracts"]
