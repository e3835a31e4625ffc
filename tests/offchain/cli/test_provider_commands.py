"""The provider's commands: what they say where there is nothing yet, and what they find."""

import json
from pathlib import Path

import pytest
from commandline import Cli

from fedpact.chain import deployment as deployments
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys, import_account
from fedpact.privacy.accounting import PrivacyLimit
from fedpact.privacy.ledger import Ledger, ReleaseId
from fedpact.privacy.mechanisms import GaussianRelease
from fedpact.provider.files import ledger_file
from fedpact.types.deployment import Deployment


@pytest.fixture(scope="module")
def alice(anvil: Devnet) -> AccountKeys:
    return anvil.new_account()


@pytest.fixture(scope="module")
def deployment(anvil: Devnet, alice: AccountKeys) -> Deployment:
    return deployments.deploy(ChainClient.connect(anvil.url, None), alice)


@pytest.fixture(autouse=True)
def settings(anvil: Devnet, alice: AccountKeys, deployment: Deployment, tmp_path: Path) -> None:
    deployments.save(deployment, tmp_path / "deployment.json")
    secret = alice.signer.key.hex()
    import_account(tmp_path / "keys", secret, "password", "alice", scrypt_cost=2**12)
    (tmp_path / "password").write_text("password")
    (tmp_path / "fedpact.toml").write_text(
        f'endpoint = "{anvil.url}"\ndeployment = "deployment.json"\nstore = "content"\n'
        'keystore = "keys"\naccount = "alice"\npassword_file = "password"\nstate = "state"\n'
    )


def test_a_provider_that_never_served_has_seen_nothing(cli: Cli) -> None:
    assert cli("provider", "status").out == "no requests seen yet\n"
    assert json.loads(cli("provider", "status", "--json").out) == []


def test_no_ledger_is_not_taken_for_an_empty_one(cli: Cli) -> None:
    result = cli("provider", "privacy", "show")
    assert result.code == 15
    assert "no privacy ledger" in result.err


def test_what_was_spent_is_shown_and_exported(
    cli: Cli, alice: AccountKeys, deployment: Deployment, tmp_path: Path
) -> None:
    path = ledger_file(tmp_path / "state", alice.address)
    event = GaussianRelease(noise_multiplier=5.0, sampling_rate=1.0, steps=4)
    units = [bytes([number]) * 32 for number in range(3)]
    with Ledger(path, alice.derive("privacy-ledger")) as ledger:
        ledger.release(
            ReleaseId(deployment.fingerprint, 1, 1),
            units,
            event,
            lambda: b"sealed",
            PrivacyLimit(8.0, 1e-5),
        )

    shown = json.loads(cli("provider", "privacy", "show", "--json").out)
    cli("provider", "privacy", "export", "--output", "ledger.json")

    assert 0 < shown["epsilon"] < 8
    assert shown["unit"] == "record"
    exported = json.loads((tmp_path / "ledger.json").read_text())
    assert [one["records"] for one in exported["releases"]] == [3]
    assert units[1].hex() not in (tmp_path / "ledger.json").read_text()


def test_there_is_nothing_to_claim_without_a_seat(cli: Cli) -> None:
    assert cli("provider", "claim", 1).code == 7


@pytest.mark.parametrize("missing", ["policy", "data"])
def test_serving_says_what_is_missing(cli: Cli, tmp_path: Path, missing: str) -> None:
    (tmp_path / "policy.toml").write_text("")
    (tmp_path / "data.csv").write_text("a,label\n1,x\n")
    (tmp_path / {"policy": "policy.toml", "data": "data.csv"}[missing]).unlink()

    result = cli("provider", "serve", "--data", "data.csv", "--policy", "policy.toml")

    assert result.code == 2
    assert missing in result.err.splitlines()[-1]
