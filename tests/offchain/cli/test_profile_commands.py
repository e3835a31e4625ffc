"""`fedpact provider profile` and what `fedpact search` refuses, without any chain."""

import json
from pathlib import Path

import pytest

from fedpact.chain.keystore import create_account
from fedpact.data.schema_draft import as_toml, propose
from tests.offchain.cli.commandline import Cli

CONFIG = (
    'keystore = "keys"\naccount = "alice"\npassword_file = "password"\nstate = "state"\n'
    'listen = "127.0.0.1:8600"\nstore = "content"\ndeployment = "deployment.json"\n'
)


@pytest.fixture(autouse=True)
def ready(tmp_path: Path, nowhere: None) -> None:
    create_account(tmp_path / "keys", "password", "alice", scrypt_cost=2**12)
    (tmp_path / "password").write_text("password")
    (tmp_path / "fedpact.toml").write_text(CONFIG)
    (tmp_path / "policy.toml").write_text('categories = ["sports/hockey"]\nmin_pay_per_round = 7\n')
    (tmp_path / "posts" / "a").mkdir(parents=True)
    for index in range(60):
        text = f"hockey goalkeeper stadium number{index}"
        (tmp_path / "posts" / "a" / str(index)).write_text(text)
    schema = propose(tmp_path / "posts", "sports/hockey")
    (tmp_path / "posts.schema.toml").write_text(as_toml(schema))


def build(cli: Cli, *options: object) -> dict[str, object]:
    result = cli("provider", "profile", "build", "--data", "posts", "--policy", "policy.toml",
                 *options, "--json")  # fmt: skip
    assert result.code == 0, result.err
    return dict(json.loads(result.out))


def test_a_profile_is_built_charged_and_shown(cli: Cli) -> None:
    built = build(cli)
    assert built["categories"] == ["sports/hockey"]
    assert (built["mode"], built["size"], built["epsilon"]) == ("sound", 60, 2.0)
    shown = cli("provider", "profile", "show", "--policy", "policy.toml", "--json")
    facts = json.loads(shown.out)
    assert facts["endpoint"] == "http://127.0.0.1:8600"
    assert facts["price_wei"] == 7
    assert facts["document_bytes"] < 2_200
    again = build(cli)
    assert again == built
    spent = json.loads(cli("provider", "privacy", "show", "--json").out)
    assert (spent["releases"], spent["requests"]) == (1, 0)
    assert 1.999 < spent["epsilon"] <= 2.0
    proof = cli("provider", "profile", "show", "--policy", "policy.toml", "--attribute", "size")
    assert f"{60:064x}" in proof.out


def test_an_unnoised_profile_needs_a_policy_that_allows_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text("profile_without_privacy = true\n")
    result = cli("provider", "profile", "build", "--data", "posts", "--policy", "plain.toml",
                 "--category", "sports")  # fmt: skip
    assert result.code == 0
    refused = cli("provider", "profile", "publish", "--policy", "policy.toml")
    assert refused.code == 14
    assert "without noise" in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("provider", "profile", "show", "--policy", "policy.toml"), 15, "no profile yet"),
        (("provider", "profile", "build", "--data", "none", "--policy", "policy.toml"), 2, "none"),
        (("provider", "profile", "build", "--data", "posts", "--policy", "policy.toml",
          "--category", "x" * 101), 0, ""),
        (("search",), 2, "nothing to search for"),
        (("search", "--terms", "the of"), 19, "none of the words"),
        (("search", "--terms", "a", "--like", "posts"), 2, "both --terms and --like are given"),
        (("search", "--like", "nowhere"), 4, "nowhere"),
    ],
)  # fmt: skip
def test_bad_input_gives_one_line_and_an_exit_code(
    cli: Cli, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = cli(*arguments)
    assert (result.code, message in result.err) == (code, True), result.err
    assert len(result.err.splitlines()) == (1 if code else 0)


def test_a_category_that_is_too_long_is_refused_before_it_is_published(cli: Cli) -> None:
    build(cli, "--category", "x" * 101)
    result = cli("provider", "profile", "show", "--policy", "policy.toml")
    assert result.code == 19
    assert "1 to 100 characters" in result.err
