"""One test for each leaf of factory.tree, and what explorers are given."""

import json

import pytest

from scripts.compile import SETTINGS
from scripts.standard_json import content
from tests.support.planned_deployment import deploy_planned, factory_address, planned

DELAY = 7 * 24 * 3600
SALT = b"\x05" * 32


@pytest.fixture
def owner(accounts):
    return accounts[9]


@pytest.fixture
def arguments(owner):
    """Registry, ledger and market; the pool and the rounds are fakes without arguments."""
    role = owner.address
    return {
        "ParticipantRegistry": lambda at: (role, DELAY),
        "ReputationLedger": lambda at: (role, DELAY, at["SharingMarket"], 10**15),
        "FakePool": lambda at: (),
        "FakeRounds": lambda at: (),
        "SharingMarket": lambda at: (
            *(at["ParticipantRegistry"], at["FakePool"], at["FakeRounds"]),
            *(at["ReputationLedger"], role, 60),
        ),
    }


def test_contracts_that_name_each_other_are_where_they_were_planned(chain, owner, arguments):
    before = planned(chain, owner.address, SALT, arguments)
    made = deploy_planned(chain, owner, SALT, arguments)

    assert {name: contract.address for name, contract in made.items()} == before
    market = made["SharingMarket"]
    assert made["ReputationLedger"].functions.isRecorder(market.address).call()
    assert market.functions.minWindow().call() == 60
    assert market.functions.owner().call() == owner.address


def test_a_stranger_creates_nothing(chain, owner, arguments, accounts, expect_revert):
    deploy_planned(chain, owner, SALT, arguments)
    factory = chain.at("DeploymentFactory", factory_address(chain, owner.address, SALT))
    with expect_revert("DeploymentFactory_NotOwner", accounts[8]):
        chain.send(accounts[8], factory.functions.create(b"\x00"))


def test_a_constructor_that_fails_takes_no_number(chain, owner, arguments, expect_revert):
    one = {"ParticipantRegistry": arguments["ParticipantRegistry"]}
    deploy_planned(chain, owner, SALT, one)
    factory = chain.at("DeploymentFactory", factory_address(chain, owner.address, SALT))
    with expect_revert("DeploymentFactory_Failed", 2):
        chain.send(owner, factory.functions.create(b"\xfe"))
    assert factory.functions.count().call() == 1
    next_one = {**one, "FakePool": arguments["FakePool"]}
    receipt = chain.send(
        owner, factory.functions.create(bytes.fromhex(chain.compiled["FakePool"].bytecode[2:]))
    )
    created = planned(chain, owner.address, SALT, next_one)["FakePool"]
    assert created[2:].lower() in receipt["logs"][0]["data"].hex()


def test_another_salt_or_owner_is_another_factory(chain, owner, accounts):
    factories = {
        factory_address(chain, who.address, salt)
        for who in (owner, accounts[8])
        for salt in (SALT, bytes(32))
    }
    assert len(factories) == 4


def test_explorers_get_the_sources_and_settings_that_were_compiled():
    given = json.loads(content())
    settings = {key: given["settings"][key] for key in SETTINGS}
    assert settings == SETTINGS
    assert "contracts/SharingMarket.sol" in given["sources"]
    assert all(source["content"] for source in given["sources"].values())
