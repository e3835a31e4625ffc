"""The provider's commands: what they say when there is nothing yet, and what they find."""

import base64
import json
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fedpact.chain import deployment_file as deployments
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys, import_account
from fedpact.data.schema_draft import as_toml, propose
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger.lock import ServingLock
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.files import ledger_file
from fedpact.provider.ledger import submissions
from fedpact.provider.ledger.opening import open_ledger
from fedpact.provider.ledger.passport_file import export_passport, write_passport
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from tests.offchain.cli.commandline import Cli


@pytest.fixture(scope="module")
def alice(anvil: Devnet) -> AccountKeys:
    return anvil.new_account()


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


def test_a_missing_ledger_is_not_treated_as_empty(cli: Cli) -> None:
    result = cli("provider", "privacy", "show")
    assert result.code == 15
    assert "no privacy ledger" in result.err


EVENT = GaussianRelease(noise_multiplier=5.0, sampling_rate=1.0, steps=4)
UNITS = [bytes([number]) * 32 for number in range(3)]
PAYLOAD = b"sealed"


@pytest.fixture
def charged(alice: AccountKeys, deployment: Deployment, tmp_path: Path) -> Path:
    """A ledger with one release, in request 1."""
    path = ledger_file(tmp_path / "state", alice.address)
    with open_ledger(path, alice) as ledger:
        first = ReleaseId(deployment.fingerprint, 1, 1)
        limit = PrivacyLimit(8.0, 1e-5)
        ledger.release(first, UNITS, EVENT, lambda: PAYLOAD, limit, ["a" * 32])
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


def test_spending_is_shown(cli: Cli, charged: Path) -> None:
    shown = json.loads(cli("provider", "privacy", "show", "--json").out)

    assert shown["epsilon"] == pytest.approx(cost(EVENT, 1e-5).epsilon)
    assert (shown["delta"], shown["unit"], shown["accountant"]) == (
        1e-5,
        "record or named unit",
        "closed form of the Gaussian mechanism",
    )
    assert (shown["releases"], shown["requests"], shown["requests_under_way"]) == (1, 1, 0)
    assert shown["data_sets"] == {"a" * 32: shown["epsilon"]}
    assert "data sets            1" in cli("provider", "privacy", "show").out


def test_a_passport_moves_what_was_spent_to_another_machine(
    cli: Cli, charged: Path, tmp_path: Path
) -> None:
    before = json.loads(cli("provider", "privacy", "show", "--json").out)
    assert cli("provider", "privacy", "export", "passport.json").code == 0
    written = (tmp_path / "passport.json").read_text()
    assert stat.S_IMODE((tmp_path / "passport.json").stat().st_mode) == 0o600
    assert UNITS[1].hex() not in written
    key = (tmp_path / "state" / "provider" / "owner.key").read_bytes()
    assert base64.b64encode(key).decode() not in written
    (tmp_path / "state").rename(tmp_path / "lost")
    for new in (1, 0):
        merged = cli("provider", "privacy", "import", "passport.json")
        assert merged.out == f"merged {new} charges and {new} releases that were new here\n"
    assert json.loads(cli("provider", "privacy", "show", "--json").out) == before
    assert (tmp_path / "state" / "provider" / "owner.key").read_bytes() == key


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one["ledger"]["units"].clear(), "the signature is not that of its account"),
        (lambda one: one.update(account="0x" + "1" * 40), "is of account 0x" + "1" * 40),
        (lambda one: one.update(signature="0x00"), "its signature cannot be read"),
        (lambda one: one.update(version="2"), "version '2': this fedpact reads"),
        (lambda one: one.pop("ledger"), "is not a passport"),
    ],
)
def test_a_passport_that_was_changed_is_refused(
    cli: Cli, charged: Path, tmp_path: Path, change: Callable[[Any], object], said: str
) -> None:
    cli("provider", "privacy", "export", "passport.json")
    content = json.loads((tmp_path / "passport.json").read_text())
    change(content)
    (tmp_path / "passport.json").write_text(json.dumps(content))
    result = cli("provider", "privacy", "import", "passport.json")
    assert result.code == 2
    assert said in result.err


def test_a_passport_of_another_account_is_refused(
    cli: Cli, anvil: Devnet, charged: Path, tmp_path: Path
) -> None:
    other = anvil.new_account()
    with open_ledger(ledger_file(tmp_path / "other", other.address), other):
        pass
    write_passport(tmp_path / "theirs.json", export_passport(tmp_path / "other", other))
    result = cli("provider", "privacy", "import", "theirs.json")
    assert result.code == 2
    assert f"is of account {other.address}" in result.err


def test_a_passport_waits_until_the_daemon_has_stopped(
    cli: Cli, charged: Path, tmp_path: Path
) -> None:
    cli("provider", "privacy", "export", "passport.json")
    with ServingLock.of(charged):
        result = cli("provider", "privacy", "import", "passport.json")
    assert (result.code, "another daemon" in result.err) == (13, True)


def test_a_passport_does_not_fit_a_folder_of_another_owner(
    cli: Cli, charged: Path, tmp_path: Path, alice: AccountKeys
) -> None:
    cli("provider", "privacy", "export", "passport.json")
    (tmp_path / "state").rename(tmp_path / "lost")
    open_ledger(ledger_file(tmp_path / "state", alice.address), alice).close()
    result = cli("provider", "privacy", "import", "passport.json")
    assert (result.code, "another owner's key" in result.err) == (13, True)


def test_the_limit_and_the_rest_come_from_the_policy(
    cli: Cli, charged: Path, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text("epsilon_lifetime = 6.0\nepsilon_per_request = 3.0\n")
    found = json.loads(cli("provider", "privacy", "limit", "--policy", "policy.toml", "--json").out)

    assert (found["epsilon_lifetime"], found["epsilon_per_request"]) == (6.0, 3.0)
    assert 0 < found["epsilon_spent"] == found["epsilon_promised"] < 6
    assert 0 < found["epsilon_left_for_one_request"] < 6


def test_each_listed_data_set_has_a_limit_and_a_rest(
    cli: Cli, charged: Path, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(
        'epsilon_lifetime = 6.0\n[[data]]\nname = "first"\npath = "a.csv"\ndisjoint = true\n'
        '[data.policy]\nepsilon_lifetime = 2.0\n[[data]]\nname = "second"\npath = "b.csv"\n'
    )
    for name in "ab":
        (tmp_path / f"{name}.csv.schema.toml").write_text(
            f'data_id = "{name * 32}"\ncategory = "x"\nunits = 5\nkind = "text"\nlabels = ["0"]\n'
        )
    asked = ("provider", "privacy", "limit", "--policy", "policy.toml")
    first, second = json.loads(cli(*asked, "--json").out)

    assert (first["data"], first["epsilon_lifetime"]) == ("first", 2.0)
    assert (second["data"], second["epsilon_lifetime"]) == ("second", 6.0)
    assert first["epsilon_spent"] > 0 == second["epsilon_spent"]
    assert first["epsilon_left_for_one_request"] < 2
    assert second["epsilon_left_for_one_request"] == pytest.approx(6, abs=0.01)
    assert "second" in cli(*asked).out
    build = ("provider", "profile", "build", "--policy", "policy.toml", "--category", "x")
    unnamed, wrong = cli(*build), cli(*build, "--of", "third")
    assert (unnamed.code, "name one of first, second" in unnamed.err) == (2, True)
    assert (wrong.code, "no data set 'third'" in wrong.err) == (2, True)


def test_a_limit_needs_a_policy_that_can_be_read(cli: Cli, charged: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("epsilon_lifetime = -1.0\n")
    result = cli("provider", "privacy", "limit", "--policy", "policy.toml")

    assert result.code == 2
    assert "epsilon_lifetime" in result.err


def test_a_ledger_is_verified_with_the_chain(
    cli: Cli, charged: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_yet = json.loads(cli("provider", "privacy", "verify", "--json").out)
    submitted = [(ReleaseId(deployment.fingerprint, 1, 1), Cid.of(PAYLOAD).digest)]
    monkeypatch.setattr(submissions, "submissions", lambda *_: submitted)
    found = json.loads(cli("provider", "privacy", "verify", "--json").out)

    assert (nothing_yet["file"], nothing_yet["submissions_on_chain"]) == ("intact", 0)
    assert (found["releases"], found["bytes_kept"], found["submissions_on_chain"]) == (1, 1, 1)


def test_a_ledger_older_than_the_chain_fails(
    cli: Cli, charged: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = [(ReleaseId(deployment.fingerprint, 1, 2), bytes(32))]
    monkeypatch.setattr(submissions, "submissions", lambda *_: submitted)
    result = cli("provider", "privacy", "verify")

    assert result.code == 13
    assert "older copy" in result.err
    assert len(result.err.splitlines()) == 1


def test_a_ledger_from_before_the_profile_fails(
    cli: Cli, charged: Path, alice: AccountKeys, tmp_path: Path
) -> None:
    texts = [f"the rotor of turbine {number} runs hot" for number in range(60)]
    (tmp_path / "posts.csv").write_text("text,label\n" + "".join(f"{t},a\n" for t in texts))
    (tmp_path / "policy.toml").write_text('categories = ["machines"]\n')
    schema = as_toml(propose(tmp_path / "posts.csv", "machines"))
    (tmp_path / "posts.csv.schema.toml").write_text(schema)
    older = charged.read_bytes()
    built = cli("provider", "profile", "build", "--data", "posts.csv", "--policy", "policy.toml")
    assert (built.code, cli("provider", "privacy", "verify").code) == (0, 0)
    charged.write_bytes(older)
    result = cli("provider", "privacy", "verify")

    assert result.code == 13
    assert "the profile that it built" in result.err


def test_without_a_node_only_the_file_is_verified(cli: Cli, charged: Path) -> None:
    result = cli("--endpoint", "http://127.0.0.1:1", "provider", "privacy", "verify", "--json")

    assert result.code == 0
    found = json.loads(result.out)
    assert found["submissions_on_chain"] is None
    assert found["chain"].startswith("not checked: ")


@pytest.mark.parametrize("command", ["show", "verify"])
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("PRAGMA user_version = 6", "schema version 6, this fedpact reads 5"),
        ("PRAGMA user_version = 0", "schema version 0, this fedpact reads 5"),
        ("UPDATE accounts SET spend = x'00'", "is corrupt"),
    ],
    ids=["newer", "older", "corrupt"],
)
def test_a_damaged_ledger_is_refused(
    cli: Cli, charged: Path, command: str, statement: str, said: str
) -> None:
    change(charged, statement)
    result = cli("provider", "privacy", command)

    assert result.code == 13
    assert said in result.err
    assert len(result.err.splitlines()) == 1


def test_a_locked_ledger_is_reported(
    cli: Cli, charged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedpact.provider.ledger.report.LOCK_TIMEOUT", 0.1)
    with closing(sqlite3.connect(charged, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        result = cli("provider", "privacy", "show")

    assert result.code == 28
    assert "locked by another process" in result.err


def test_there_is_nothing_to_claim_without_a_seat(cli: Cli) -> None:
    assert cli("provider", "claim", 10**6).code == 7


@pytest.mark.parametrize("missing", ["policy", "schema", "data"])
def test_serve_reports_what_is_missing(cli: Cli, tmp_path: Path, missing: str) -> None:
    (tmp_path / "policy.toml").write_text("max_rounds = 200\n")
    (tmp_path / "data.csv").write_text("a,label\n1,x\n")
    cli("data", "doctor", "data.csv", "--category", "x", "--unit", "record")
    files = {"policy": "policy.toml", "schema": "data.csv.schema.toml", "data": "data.csv"}
    (tmp_path / files[missing]).unlink()

    result = cli("provider", "serve", "--data", "data.csv", "--policy", "policy.toml")

    assert result.code == 2
    assert missing in result.err.splitlines()[-1]


def test_check_lists_all_problems_at_once(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("max_round = 1\n")
    (tmp_path / "data.csv").write_text("a,label\n1,x\n")
    (tmp_path / "password").write_text("wrong")
    (tmp_path / "content").write_text("not a folder")
    cli("data", "doctor", "data.csv", "--category", "x", "--unit", "record")
    (tmp_path / "data.csv").unlink()
    arguments = ("--data", "data.csv", "--policy", "policy.toml", "--json")

    result = cli("--endpoint", "http://127.0.0.1:1", "provider", "check", *arguments)

    problems = {
        row["what"]: row["why"] for row in json.loads(result.out) if row["finding"] == "problem"
    }
    assert result.code == 2
    assert "cannot serve: 5 problems" in result.err
    assert "wrong password" in problems["key store"]
    assert "max_round" in problems["policy"]
    assert "http://127.0.0.1:1" in problems["node"]
    assert "content" in problems["content store"]
    assert "data.csv" in problems["data"]


def test_check_accepts_what_init_writes_once_it_is_filled_in(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", "filled").code == 0
    folder = tmp_path / "filled"
    answers = {
        "category": '"machines"',
        "units": "200",
        "unit": '"machine"',
        "labels": '["0", "1"]',
        "name": '"torque"',
    }
    schema = (folder / "schema.toml").read_text()
    check = ("provider", "check", "--policy", "filled/policy.toml", "--json")
    blank = {row["what"]: row["why"] for row in json.loads(cli(*check).out)}
    assert "category" in blank["schema"]
    for name, answer in answers.items():
        schema, count = re.subn(
            rf"^{name} = .*# fill in$", f"{name} = {answer}", schema, flags=re.M
        )
        assert count == 1
    assert not re.search("^[^#].*# fill in$", schema, flags=re.M)
    (folder / "schema.toml").write_text(schema)
    rows = "".join(f"m{n},{n / 200},{n % 2}\n" for n in range(200))
    (folder / "own.csv").write_text("machine,torque,label\n" + rows)

    found = {row["what"]: row["finding"] for row in json.loads(cli(*check).out)}
    assert {found[what] for what in ("policy", "schema", "data own")} == {"ok"}


def test_check_finds_an_account_that_is_not_admitted(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("min_samples = 10")
    (tmp_path / "data.csv").write_text("a,label\n1,x\n2,y\n")
    cli("data", "doctor", "data.csv", "--category", "x", "--unit", "record")

    result = cli("provider", "check", "--data", "data.csv", "--policy", "policy.toml", "--json")

    found = {row["what"]: (row["finding"], row["why"]) for row in json.loads(result.out)}
    assert result.code == 2
    assert "is not an active participant" in found["account"][1]
    assert found["data"][0] == "warning"
    assert "under the policy's min_samples (10)" in found["data"][1]
    assert found["privacy ledger"] == ("ok", "")
    assert not (tmp_path / "state").exists()
