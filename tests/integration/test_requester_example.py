"""The example of the requester's Python API runs as it stands."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np

import fedpact
from fedpact.chain import deployment
from fedpact.chain.keystore import import_account
from tests.support.committee import Market, Serving

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("requester_example", EXAMPLES / "requester.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_arrays(path: Path, market: Market, indices: range) -> None:
    """The providers hold arrays, whose values have no names that a table could be matched by."""
    x, y = market.evaluation.x[list(indices)], market.evaluation.y[list(indices)]
    np.savez(path, x=(x * 16).astype(int), y=y)


def test_the_example_buys_a_model_and_answers_with_it(market: Market, tmp_path: Path) -> None:
    deployment.save(market.client.deployment, tmp_path / "deployment.json")
    secret = market.requester_keys.signer.key.hex()
    import_account(tmp_path / "keys", secret, "password", "bob", scrypt_cost=2**12)
    (tmp_path / "password").write_text("password\n")
    (tmp_path / "fedpact.toml").write_text(
        f"""
        endpoint = "{market.client.rpc.endpoint}"
        deployment = "deployment.json"
        store = "{market.folder / "content"}"
        keystore = "keys"
        account = "bob"
        password_file = "password"
        state = "state"
        """
    )
    write_arrays(tmp_path / "evaluation.npz", market, range(300))
    write_arrays(tmp_path / "queries.npz", market, range(300, 400))
    example = load_example()
    session = fedpact.connect(tmp_path / "fedpact.toml")

    first = market.client.market.request_count() + 1
    with Serving(market, first):
        labels = example.buy_answers(
            session.requester,
            EXAMPLES / "draft.toml",
            tmp_path / "evaluation.npz",
            tmp_path / "queries.npz",
        )

    truth = market.evaluation.y[300:400]
    assert np.mean([int(label) == right for label, right in zip(labels, truth, strict=True)]) > 0.4
