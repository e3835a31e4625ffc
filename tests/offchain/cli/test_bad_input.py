"""Bad input of every kind: one clear line, the documented code, and nothing half-written."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from fedpact.chain import deployment_file as deployments
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys, import_account
from fedpact.chain.vouchers import encode_voucher, sign_voucher
from fedpact.types.deployment import Deployment
from tests.offchain.cli.commandline import Cli
from tests.offchain.cli.drafts import DRAFT

QUICK = 2**12


@pytest.fixture(scope="module")
def bob(anvil: Devnet, operator: AccountKeys, deployment: Deployment) -> AccountKeys:
    keys = anvil.new_account()
    client = ChainClient.connect(anvil.url, deployment)
    expiry = client.frame().timestamp + 3600
    voucher = sign_voucher(operator, deployment, keys.address, 1, 1, expiry)
    public = bytes(keys.encryption_key().public_key)
    client.registry.register(keys, voucher, public, bytes(32), bytes(32))
    return keys


@pytest.fixture
def ready(
    anvil: Devnet,
    deployment: Deployment,
    bob: AccountKeys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder in which bob's commands work."""
    deployments.save(deployment, tmp_path / "deployment.json")
    import_account(tmp_path / "keys", bob.signer.key.hex(), "password", "bob", scrypt_cost=QUICK)
    (tmp_path / "password").write_text("password")
    (tmp_path / "draft.toml").write_text(DRAFT)
    pixels = np.random.default_rng(0).integers(0, 17, size=(40, 64))
    np.savez(tmp_path / "evaluation.npz", x=pixels, y=np.arange(40) % 10)
    (tmp_path / "fedpact.toml").write_text(
        f'endpoint = "{anvil.url}"\ndeployment = "deployment.json"\nstore = "content"\n'
        'keystore = "keys"\naccount = "bob"\npassword_file = "password"\nstate = "state"\n'
    )
    return tmp_path


def create(cli: Cli, **changes: object) -> tuple[int, str]:
    given = {"draft": "draft.toml", "evaluation": "evaluation.npz", "payment": "1 ether"} | changes
    result = cli(
        *("request", "create", given["draft"], "--evaluation", given["evaluation"]),
        *("--pay", given["payment"]),
    )
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    assert "Traceback" not in result.err
    return result.code, result.err


def test_without_a_deployment_file(cli: Cli, ready: Path) -> None:
    (ready / "deployment.json").unlink()
    result = cli("request", "list", "--all")
    assert result.code == 6
    assert "no deployment file" in result.err


def test_a_file_that_is_not_a_deployment(cli: Cli, ready: Path) -> None:
    (ready / "deployment.json").write_text("{}")
    result = cli("request", "list", "--all")
    assert result.code == 6
    assert "not a deployment file" in result.err


@pytest.mark.parametrize(
    ("change", "said"),
    [({"chain_id": 1}, "on chain 31337"), ({"genesis_hash": "0x" + "22" * 32}, "another chain")],
)
def test_a_deployment_of_another_network(
    cli: Cli, ready: Path, deployment: Deployment, change: dict[str, object], said: str
) -> None:
    other = asdict(replace(deployment, **change))  # type: ignore[arg-type]
    (ready / "deployment.json").write_text(json.dumps(other))
    result = cli("request", "list", "--all")
    assert result.code == 6
    assert said in result.err


def test_deploying_never_overwrites_a_deployment(cli: Cli, ready: Path) -> None:
    before = (ready / "deployment.json").read_bytes()
    result = cli("deploy")
    assert result.code == 6
    assert (ready / "deployment.json").read_bytes() == before


def test_a_node_that_does_not_answer(cli: Cli, ready: Path) -> None:
    result = cli("--endpoint", "http://127.0.0.1:9", "request", "list", "--all")
    assert result.code == 21
    assert "127.0.0.1:9" in result.err


def test_a_store_that_does_not_answer(cli: Cli, ready: Path) -> None:
    result = cli(
        *("--store", "http://127.0.0.1:9", "request", "create", "draft.toml"),
        *("--evaluation", "evaluation.npz", "--pay", "1 ether"),
    )
    assert result.code == 22
    assert len(result.err.splitlines()) == 1


def test_a_wrong_password(cli: Cli, ready: Path) -> None:
    (ready / "password").write_text("guess")
    code, said = create(cli)
    assert code == 5
    assert "wrong password for account bob" in said


def test_a_missing_password_file(cli: Cli, ready: Path) -> None:
    (ready / "password").unlink()
    code, said = create(cli)
    assert code == 5
    assert "password file" in said


def test_no_password_and_no_terminal(cli: Cli, ready: Path) -> None:
    settings = (ready / "fedpact.toml").read_text().replace('password_file = "password"\n', "")
    (ready / "fedpact.toml").write_text(settings)
    code, said = create(cli)
    assert code == 5
    assert "FEDPACT_PASSWORD" in said


def test_an_account_without_a_key_store(cli: Cli, ready: Path) -> None:
    result = cli("--account", "nobody", "request", "cancel", 1)
    assert result.code == 5
    assert "it holds: bob" in result.err


def test_no_account_at_all(cli: Cli, ready: Path) -> None:
    settings = (ready / "fedpact.toml").read_text().replace('account = "bob"\n', "")
    (ready / "fedpact.toml").write_text(settings)
    result = cli("request", "cancel", 1)
    assert result.code == 2
    assert "--account" in result.err


@pytest.mark.parametrize("command", ["status", "follow", "fetch", "cancel", "refund"])
def test_an_unknown_request(cli: Cli, ready: Path, command: str) -> None:
    result = cli("request", command, 999)
    assert result.code == 7
    assert "knows no request 999" in result.err


def test_an_audit_of_an_unknown_request(cli: Cli, ready: Path) -> None:
    assert cli("audit", 999).code == 7


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rounds = 2", "rounds = 0", "rounds"),
        ("max_providers = 3", "max_providers = 17", "max_providers"),
        ("min_providers = 3", "min_providers = 4\n", "min_providers 4 is above"),
        ('score = "contribution"', 'score = "beauty"', "score"),
        ('name = "softmax-regression"', 'name = "oracle"', "oracle"),
        ("seed = 0", "titel = 'x'", "titel"),
        ("seed = 0", "seed = -1", "seed"),
        ("clipping_norm = 1.0", "", "clipping_norm"),
        ("[features]", "queries = 'x'\n[features]", "filled in when"),
        ("seed = 0", "initial_model = 'x'", "initial_model x: No such file"),
        ("[features]", "initial_model = 'x'\n[features]", "exclude each other"),
        ("[features]", "[features", "draft draft.toml"),
    ],
)
def test_a_draft_that_fails_its_schema(
    cli: Cli, ready: Path, old: str, new: str, said: str
) -> None:
    assert old in DRAFT
    (ready / "draft.toml").write_text(DRAFT.replace(old, new, 1))
    code, message = create(cli)
    assert code == 3
    assert said in message


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("epsilon = 8.0", "epsilon = 0.0", 3, "privacy.epsilon"),
        ("epsilon = 8.0", "epsilon = -1.0", 3, "privacy.epsilon"),
        ("epsilon = 8.0", "epsilon = nan", 3, "draft"),
        ("epsilon = 8.0", "epsilon = 30.0", 12, "epsilon 30 protects nobody: use at most 20"),
        ("delta = 1e-5", "delta = 0.0", 3, "privacy.delta"),
        ("delta = 1e-5", "delta = 1.0", 3, "privacy.delta"),
        ("clipping_norm = 1.0", "clipping_norm = 0.0", 3, "privacy.clipping_norm"),
        ("steps = 4", "steps = 4\nsampling_rate = 1.5", 3, "local.steps.sampling_rate"),
        ("steps = 4", "steps = 4\nsampling_rate = 0.0", 3, "local.steps.sampling_rate"),
        ("[privacy]", "[privacy]\nadaptive_clipping = { quantile = 0.0 }", 3, "quantile"),
    ],
)
def test_privacy_out_of_range(
    cli: Cli, ready: Path, old: str, new: str, code: int, said: str
) -> None:
    assert old in DRAFT
    (ready / "draft.toml").write_text(DRAFT.replace(old, new, 1))
    ended, message = create(cli)
    assert ended == code
    assert said in message


def test_an_unreachable_epsilon_names_the_least_reachable(cli: Cli, ready: Path) -> None:
    (ready / "draft.toml").write_text(
        DRAFT.replace("epsilon = 8.0", "epsilon = 1e-5").replace("1e-5\nclip", "1e-12\nclip")
    )
    code, message = create(cli)
    assert code == 12
    found = re.search(r"the least possible epsilon is ([0-9.e-]+)$", message)
    assert found
    assert float(found[1]) > 1e-5


def test_an_evaluation_set_without_a_label_column(cli: Cli, ready: Path) -> None:
    (ready / "evaluation.csv").write_text("a,b\n1,2\n")
    code, message = create(cli, evaluation="evaluation.csv")
    assert code == 4
    assert "no label column" in message


def test_an_evaluation_set_with_fewer_examples_than_rounds(cli: Cli, ready: Path) -> None:
    np.savez(ready / "evaluation.npz", x=np.ones((1, 64)), y=np.arange(1))
    code, message = create(cli)
    assert code == 4
    assert "1 examples for 2 rounds" in message


def test_an_evaluation_set_with_too_few_examples_of_a_label(cli: Cli, ready: Path) -> None:
    """The labels are so skewed that models are judged by balanced accuracy."""
    y = np.repeat(np.arange(10), [1, *[20] * 9])
    np.savez(ready / "evaluation.npz", x=np.ones((len(y), 64)), y=y)
    code, message = create(cli)
    assert code == 4
    assert "label '0' has 1 examples for 2 rounds: metric balanced-accuracy" in message


def test_a_missing_evaluation_set(cli: Cli, ready: Path) -> None:
    code, message = create(cli, evaluation="none.csv")
    assert code == 4
    assert "none.csv" in message


@pytest.mark.parametrize("payment", ["1", "1 pound", "one ether", "-1 ether", "0.1 wei", "nan wei"])
def test_a_payment_that_is_not_an_amount(cli: Cli, ready: Path, payment: str) -> None:
    code, _ = create(cli, payment=payment)
    assert code == 2


def test_a_refused_request_leaves_nothing_behind(
    cli: Cli, ready: Path, client: ChainClient, bob: AccountKeys
) -> None:
    np.savez(ready / "evaluation.npz", x=np.ones((1, 64)), y=np.arange(1))
    create(cli)
    assert not (ready / "state").exists()
    assert [path for path in (ready / "content").rglob("*") if path.is_file()] == []
    assert list(client.market.numbers_of(bob.address)) == []


def test_a_payment_that_the_account_does_not_have(cli: Cli, ready: Path) -> None:
    code, message = create(cli, payment="5000 ether")
    assert code == 9
    assert "ether" in message or "wei" in message


def test_an_account_that_is_not_registered(cli: Cli, ready: Path, anvil: Devnet) -> None:
    keys = anvil.new_account()
    secret = keys.signer.key.hex()
    import_account(ready / "keys", secret, "password", "carol", scrypt_cost=QUICK)
    result = cli(
        *("--account", "carol", "request", "create", "draft.toml"),
        *("--evaluation", "evaluation.npz", "--pay", "1 ether"),
    )
    assert result.code == 2
    assert "not an active participant" in result.err


def test_a_voucher_of_another_account(
    cli: Cli, ready: Path, operator: AccountKeys, deployment: Deployment
) -> None:
    voucher = sign_voucher(operator, deployment, operator.address, 9, 9, 2**40)
    (ready / "v.json").write_text(encode_voucher(voucher))
    result = cli("register", "--voucher", "v.json")
    assert result.code == 2
    assert operator.address in result.err


@pytest.mark.parametrize("text", ["", "{}", "[1]", "\x00"])
def test_a_file_that_is_not_a_voucher(cli: Cli, ready: Path, text: str) -> None:
    (ready / "v.json").write_text(text)
    assert cli("register", "--voucher", "v.json").code == 2


def test_a_voucher_signed_by_someone_other_than_the_registrar(cli: Cli, ready: Path) -> None:
    result = cli("registrar", "voucher", "0x" + "11" * 20, "--organisation", 1, "--output", "v")
    assert result.code == 2
    assert "the registrar is" in result.err
    assert not (ready / "v").exists()


def test_answers_from_a_model_that_was_not_fetched(cli: Cli, ready: Path) -> None:
    result = cli("request", "answer", "none.safetensors", "evaluation.npz")
    assert result.code == 15
    assert "run `fedpact request fetch` first" in result.err


def test_a_store_of_another_kind(cli: Cli, ready: Path) -> None:
    result = cli("--store", "ftp://host/x", "audit", 1)
    assert result.code in (2, 7)
    assert len(result.err.splitlines()) == 1


def test_usage_errors_exit_with_code_two(cli: Cli, ready: Path) -> None:
    assert cli("request", "fetch").code == 2
    assert cli("no-such-command").code == 2
