"""`ape run ape_deploy` puts the contracts on a chain as `fedpact deploy` does."""

import os
import subprocess
import sys
from pathlib import Path

from fedpact.chain import deployment_file, keystore
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.types.deployment import SecondDeployment

REPOSITORY = Path(__file__).resolve().parents[2]
APE = Path(sys.executable).with_name("ape")


def test_ape_deploys_and_does_not_overwrite(anvil: Devnet, tmp_path: Path) -> None:
    keys = keystore.create_account(tmp_path / "keys", "secret", "operator", scrypt_cost=2**12)
    anvil.fund(keys.address)
    path = tmp_path / "deployment.json"

    deployed = ape_run_deploy(anvil, tmp_path / "keys", path)
    assert deployed.returncode == 0, deployed.stderr
    found = deployment_file.load(path)
    assert found.market in deployed.stdout
    assert isinstance(found, SecondDeployment)
    client = ChainClient.connect(anvil.url, found)
    assert client.registry.registrar() == keys.address

    again = ape_run_deploy(anvil, tmp_path / "keys", path)
    assert again.returncode == 6
    assert "already describes a deployment" in again.stderr
    assert deployment_file.load(path) == found


def ape_run_deploy(anvil: Devnet, keys: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(APE, "run", "ape_deploy", "--network", f"ethereum:local:{anvil.url}"),
            *("--account", "operator", "--keystore", keys, "--out", path),
        ],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "FEDPACT_PASSWORD": "secret",
            "APE_DATA_FOLDER": str(path.parent / "ape"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
