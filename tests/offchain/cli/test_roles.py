"""Each role by hand, through the command line, on a real chain."""

import json
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from fedpact.chain import keystore
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import import_account
from fedpact.operator import devnet as devnets
from tests.offchain.cli.commandline import Cli
from tests.offchain.cli.drafts import DRAFT

QUICK = 2**12
"""Cost of opening a key store; tests need not take a second each."""


@pytest.fixture
def people(anvil: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Addresses by name of three funded accounts; the settings name the chain."""
    monkeypatch.setenv("FEDPACT_ENDPOINT", anvil.url)
    monkeypatch.setenv("FEDPACT_PASSWORD", "password")
    addresses = {}
    for name in ("operator", "alice", "bob"):
        keys = anvil.new_account()
        folder = Path("~/.config/fedpact/keys").expanduser()
        import_account(folder, keys.signer.key.hex(), "password", name, scrypt_cost=QUICK)
        addresses[name] = keys.address
    return addresses


@pytest.fixture
def deployed(cli: Cli, people: dict[str, str]) -> dict[str, str]:
    assert cli("--account", "operator", "deploy").code == 0
    return people


def test_large_rounds_are_deployed_beside_others(cli: Cli, deployed: dict[str, str]) -> None:
    usual = json.loads(Path("deployment.json").read_text())
    deploy = ("--account", "operator", "--deployment", "large.json", "deploy")
    for option, value in (("--delay", 9), ("--registrar", "alice"), ("--reputation-unit", 9)):
        refused = cli(*deploy, "--beside", "deployment.json", option, value)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "leave them out" in refused.err
    assert "--beside" in cli(*deploy, "--draw-delay", 9).err

    made = json.loads(cli(*deploy, "--beside", "deployment.json", "--json").out)
    assert (made["rounds kind"], made["registry"]) == ("large", usual["registry"])
    assert made["records"].startswith("from 20")
    large = json.loads(Path("large.json").read_text())
    assert (large["rounds_kind"], large["rounds"]) == ("large", made["rounds"])
    verified = cli("--deployment", "large.json", "deploy", "--verify-artifacts", "--json")
    assert {"LargeRounds", "SharingMarket"} < {one["contract"] for one in json.loads(verified.out)}
    again = cli("--account", "operator", "--deployment", "large.json", "registrar", "recorder")
    assert f"{large['market']} records from 20" in again.out


def register(cli: Cli, people: dict[str, str], name: str, organisation: int) -> None:
    voucher = f"{name}.json"
    arguments = ("--organisation", organisation, "--output", voucher)
    assert cli("--account", "operator", "registrar", "voucher", people[name], *arguments).code == 0
    assert cli("--account", name, "register", "--voucher", voucher).code == 0


def write_evaluation(path: Path, examples: int) -> None:
    digits = load_digits()
    names = ",".join(f"p{number}" for number in range(64))
    rows = [
        ",".join(str(int(value)) for value in x) + f",{y}"
        for x, y in zip(digits.data[:examples], digits.target[:examples], strict=True)
    ]
    path.write_text("\n".join([names + ",label", *rows]) + "\n")


@pytest.fixture
def cheap_keystores(monkeypatch: pytest.MonkeyPatch) -> None:
    for store in (keystore.create_account, keystore.import_account, keystore.change_password):
        defaults = store.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "scrypt_cost", QUICK)


@pytest.mark.usefixtures("cheap_keystores")
def test_accounts_are_created_imported_and_listed(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPACT_PASSWORD", "password")
    made = json.loads(cli("account", "new", "--name", "alice", "--json").out)
    (tmp_path / "key").write_text("11" * 32)
    cli("account", "import", "--name", "bob", "--key-file", "key")

    listed = json.loads(cli("account", "list", "--json").out)

    assert [one["name"] for one in listed] == ["alice", "bob"]
    assert listed[0]["address"] == made["address"]
    assert listed[1]["address"] == "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    assert "11" * 32 not in cli("account", "list").out


@pytest.mark.usefixtures("cheap_keystores")
def test_the_password_file_is_read_and_no_option_takes_a_password(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    assert cli("--password-file", "secret", "account", "new", "--name", "alice").code == 0

    shown = cli("--password-file", "secret", "--account", "alice", "account", "show", "--json")

    assert len(json.loads(shown.out)["encryption_key"]) == 64
    assert cli("--password", "x", "account", "list").code == 2


def test_a_devnet_starts_and_stops(cli: Cli, tmp_path: Path, people: dict[str, str]) -> None:
    up = cli("devnet", "up", "--port", 0, "--fund", "alice", "--json")
    try:
        facts = json.loads(up.out)
        assert facts["funded"] == [people["alice"]]
        assert cli("devnet", "up", "--port", 0).code == 2
        assert cli("--endpoint", facts["endpoint"], "--account", "alice", "deploy").code == 0
    finally:
        down = cli("devnet", "down")

    assert down.out == f"stopped {facts['endpoint']}\n"
    assert cli("devnet", "down").code == 2
    folder = Path("~/.config/fedpact/state/devnet").expanduser()
    assert not (folder / devnets.RECORD).exists()


def test_the_registrar_admits_suspends_restores_and_lists(
    cli: Cli, deployed: dict[str, str], anvil: Devnet
) -> None:
    register(cli, deployed, "alice", 1)
    shown = json.loads(cli("--account", "bob", "account", "show", "--json").out)
    key = shown["encryption_key"]
    options = ("--organisation", 2, "--encryption-key", key)
    cli("--account", "operator", "registrar", "admit", deployed["bob"], *options)
    cli("--account", "operator", "registrar", "suspend", deployed["alice"])
    anvil.mine(2)  # a suspension takes effect after the deployment's delay

    listed = json.loads(cli("registrar", "list", "--json").out)

    assert [(one["account"], one["organisation"], one["status"]) for one in listed] == [
        (deployed["alice"], 1, "suspended"),
        (deployed["bob"], 2, "active"),
    ]
    assert cli("--account", "operator", "registrar", "restore", deployed["alice"]).code == 0
    assert "active" in cli("registrar", "list").out


@pytest.mark.usefixtures("cheap_keystores")
def test_an_encryption_key_and_a_password_are_replaced(
    cli: Cli, deployed: dict[str, str], tmp_path: Path
) -> None:
    refused = cli("--account", "alice", "account", "rotate-key")
    register(cli, deployed, "alice", 1)
    before = json.loads(cli("--account", "alice", "account", "show", "--json").out)

    rotated = json.loads(cli("--account", "alice", "account", "rotate-key", "--json").out)
    (tmp_path / "new").write_text("another")
    unnamed = cli("--account", "alice", "account", "password")
    changed = cli("--account", "alice", "account", "password", "--new-password-file", "new")

    assert (refused.code, "is not registered" in refused.err) == (2, True)
    assert rotated["version"] == 2
    assert rotated["encryption_key"] != before["encryption_key"]
    listed = json.loads(cli("registrar", "list", "--json").out)
    assert [one["key_version"] for one in listed] == [2]
    assert (unnamed.code, changed.code) == (5, 0)
    assert cli("--account", "alice", "account", "show").code == 5
    assert cli("--password-file", "new", "--account", "alice", "account", "show").code == 0


def test_a_revoked_voucher_admits_nobody(cli: Cli, deployed: dict[str, str]) -> None:
    made = cli(
        *("--account", "operator", "registrar", "voucher", deployed["alice"]),
        *("--organisation", 1, "--output", "v.json"),
    )
    number = json.loads(Path("v.json").read_text())["nonce"]
    assert str(number) in made.out
    cli("--account", "operator", "registrar", "revoke", number)

    refused = cli("--account", "alice", "register", "--voucher", "v.json")

    assert refused.code == 8
    assert "VoucherRevoked" in refused.err


def test_a_request_is_created_listed_cancelled_and_refunded(
    cli: Cli, deployed: dict[str, str], tmp_path: Path
) -> None:
    register(cli, deployed, "bob", 1)
    write_evaluation(tmp_path / "evaluation.csv", 200)
    (tmp_path / "draft.toml").write_text(as_the_paper(DRAFT))
    created = cli(
        *("--account", "bob", "request", "create", "draft.toml", "--evaluation", "evaluation.csv"),
        *("--pay", "0.5 ether", "--json"),
    )
    paid = {"payment": 5 * 10**17, "currency": "ether", "token": None}
    assert json.loads(created.out) == {"request": 1, **paid}

    status = json.loads(cli("request", "status", 1, "--json").out)
    assert status["status"] == "open"
    listed = json.loads(cli("--account", "bob", "request", "list", "--json").out)
    assert [one["request"] for one in listed] == [1]
    assert json.loads(cli("--account", "alice", "request", "list", "--json").out) == []
    assert len(json.loads(cli("request", "list", "--all", "--json").out)) == 1

    claim = "epsilon 8 at delta 1e-05, claimed by the paper, not guaranteed"
    assert claim in cli("request", "show", 1).out
    shown = json.loads(cli("request", "show", 1, "--json").out)["specification"]
    assert shown["privacy"]["mechanism"] == "ddp-sgd"
    assert claim in shown["privacy"]["statement"]

    assert cli("--account", "bob", "request", "fetch", 1).code == 15
    assert cli("--account", "bob", "request", "cancel", 1).code == 0
    assert "0.52 ether" in cli("--account", "bob", "request", "refund", 1).out
    assert cli("--account", "bob", "request", "refund", 1).code == 15

    audited = json.loads(cli("audit", 1, "--json").out)
    assert audited["request"] == 1
    assert {one["name"] for one in audited["items"] if one["verdict"] == "holds"} >= {
        "history",
        "specification_digest",
        "initial_model",
        "evaluation_slices",
        "refund",
        "conservation",
    }
    [looked_at] = [one for one in audited["items"] if one["name"] == "specification_digest"]
    assert claim in looked_at["detail"]


def as_the_paper(draft: str) -> str:
    """The draft with DDP-SGD in place of a guarantee."""
    for old, new in (
        ('mode = "sound"', 'mode = "paper"\nmechanism = "ddp-sgd"'),
        ("clipping_norm = 1.0\n", ""),
        ("steps = 4\n", "epochs = 3\nbatch_size = 32\n"),
    ):
        assert old in draft
        draft = draft.replace(old, new)
    return draft


def test_the_second_protocol_is_deployed_verified_and_has_participants(
    cli: Cli, people: dict[str, str]
) -> None:
    deploy = ("--account", "operator", "deploy")
    made = json.loads(cli(*deploy, "--guardian", "bob", "--json").out)
    assert (made["protocol"], len(made["factory"])) == (2, 42)
    assert cli(*deploy).code == 6
    checked = json.loads(cli("deploy", "--verify-artifacts", "--json").out)
    assert {"contract": "TrainingPool", "address": made["pool"], "parameters": [31337]} in checked

    register(cli, people, "alice", 40_000)
    key = json.loads(cli("--account", "bob", "account", "show", "--json").out)["encryption_key"]
    options = ("--organisation", 2, "--encryption-key", key)
    assert cli("--account", "operator", "registrar", "admit", people["bob"], *options).code == 0
    assert cli("--account", "operator", "registrar", "suspend", people["bob"]).code == 0
    listed = json.loads(cli("registrar", "list", "--json").out)
    assert [(one["account"], one["organisation"], one["reputation"]) for one in listed] == [
        (people["alice"], 40_000, 4_000),
        (people["bob"], 2, 4_000),
    ]
    assert cli("--account", "alice", "provider", "status").out == "no requests seen yet\n"
    assert "knows no request 1" in cli("--account", "alice", "provider", "claim", 1).err
    assert "knows no request 1" in cli("--account", "alice", "request", "offers", 1).err


def test_a_request_of_the_second_protocol_by_the_same_commands(
    cli: Cli, people: dict[str, str], tmp_path: Path
) -> None:
    assert cli("--account", "operator", "deploy").code == 0
    register(cli, people, "bob", 1)
    write_evaluation(tmp_path / "evaluation.csv", 200)
    (tmp_path / "draft.toml").write_text(as_the_paper(DRAFT) + "\n[terms]\nmax_pool = 40\n")
    create = ("--account", "bob", "request", "create", "draft.toml", "--pay", "0.5 ether")
    created = cli(*create, "--evaluation", "evaluation.csv", "--json")
    paid = {"payment": 5 * 10**17, "currency": "ether", "token": None}
    assert json.loads(created.out) == {"request": 1, **paid}
    status = json.loads(cli("request", "status", 1, "--json").out)
    assert (status["status"], status["stage"], status["model"]) == ("open", "waiting", False)
    listed = json.loads(cli("--account", "bob", "request", "list", "--json").out)
    assert [(one["request"], one["payment"]) for one in listed] == [(1, 5 * 10**17)]
    assert "ddp-sgd" in cli("request", "show", 1, "--json").out
    assert cli("--account", "bob", "request", "slice-keys", 1, "--output", "keys.json").code == 0
    rounds = listed[0]["rounds"]
    assert len(json.loads(Path("keys.json").read_text())["keys"]) == rounds

    assert cli("--account", "bob", "request", "fetch", 1).code == 15
    assert cli("--account", "bob", "request", "cancel", 1).code == 0
    assert "0.5" in cli("--account", "bob", "request", "refund", 1).out
    assert cli("--account", "bob", "request", "refund", 1).code == 15
