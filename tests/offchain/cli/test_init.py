"""`fedpact init`: what it writes is what the program reads."""

import os
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from fedpact.cli.commented_toml import commented, docstrings
from fedpact.cli.init_files import NOT_IN_A_DRAFT, starting_files
from fedpact.errors import SettingsError, StorageUnavailable
from fedpact.provider.policy import Policy
from fedpact.requester.draft import Draft
from fedpact.settings import Settings, load
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification
from tests.offchain.cli.conftest import Cli

MODELS: dict[str, type[BaseModel]] = {
    "fedpact.toml": Settings,
    "policy.toml": Policy,
    "schema.toml": DataSchema,
    "draft.toml": Specification,
}
DEFAULT = re.compile(r"^#(\w+ = .+)$", re.MULTILINE)


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_there_and_no_other(name: str) -> None:
    text, model = starting_files()[name], MODELS[name]
    tomllib.loads(text)
    for field in set(model.model_fields) - {"version"} - set(NOT_IN_A_DRAFT):
        assert re.search(rf"^#?(\[+{field}\]+|{field} =)", text, re.MULTILINE), field


def shown_defaults(name: str) -> str:
    text = starting_files()[name].partition("\n[[")[0]
    return DEFAULT.sub(r"\1", text)


def test_without_its_mark_no_line_of_the_policy_changes_anything() -> None:
    shown = tomllib.loads(shown_defaults("policy.toml"))
    assert len(shown) > 20
    assert Policy.model_validate(shown) == Policy()


def test_without_its_mark_no_line_of_the_settings_changes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("FEDPACT_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "fedpact.toml"
    path.write_text(shown_defaults("fedpact.toml"))
    apart = {"account", "deployment"}  # to be filled in; beside the file
    read, defaults = load(path), Settings()
    assert read.model_dump(exclude=apart) == defaults.model_dump(exclude=apart)
    assert read.deployment == tmp_path / defaults.deployment
    with pytest.raises(SettingsError, match="no account"):
        read.chosen_account()


def test_the_comments_are_the_fields_docstrings() -> None:
    said = docstrings(Policy)["submit_after"]
    assert said.startswith("Share of the submit window")
    words = " ".join(starting_files()["policy.toml"].replace("\n# ", " ").split())
    assert " ".join(said.split()) in words
    assert docstrings(DataSchema)["unit"]


def test_a_new_field_appears_by_itself() -> None:
    class Wider(Policy):
        most_patience: int = 7
        """How long to wait."""

    assert "# How long to wait.\n#most_patience = 7" in commented(Wider, {})


@pytest.mark.parametrize(
    ("home", "shown"), [("/home/ann", "~/keys"), ("/home/an", "/home/ann/keys"), ("/", None)]
)
def test_only_a_path_below_the_home_folder_is_shortened(
    monkeypatch: pytest.MonkeyPatch, home: str, shown: str | None
) -> None:
    """`/home/ann` became `~n` for an, and in a container whose home folder is / every address and
    path was broken."""
    monkeypatch.setenv("HOME", home)

    class Folders(BaseModel):
        keys: Path = Path("/home/ann/keys")
        store: tuple[str, ...] = ("/home/ann/keys", "http://127.0.0.1:8545/home/ann")

    text, path = commented(Folders, {}), shown or "/home/ann/keys"
    assert f'#keys = "{path}"' in text
    assert f'#store = ["{path}", "http://127.0.0.1:8545/home/ann"]' in text


def test_a_draft_that_is_filled_in_is_one(tmp_path: Path) -> None:
    answers = {
        "title": '"Pumps"',
        "category": '"machines"',
        "labels": '["0", "1"]',
        "rounds": "2",
        "min_providers": "2",
        "max_providers": "2",
        "score": '"contribution"',
        "max_error": "5000",
        "columns": '["torque"]',
        "shape": "[1]",
        "name": '"softmax-regression"',
        "learning_rate": "0.5",
        "steps": "3",
        "mode": '"sound"',
        "epsilon": "2.0",
        **dict.fromkeys(
            ("join", "start", "submit", "commit", "reveal", "propose", "deliver"), "60"
        ),
    }
    text = starting_files()["draft.toml"]
    for name, answer in answers.items():
        text, count = re.subn(rf"^{name} = .*# fill in$", f"{name} = {answer}", text, flags=re.M)
        assert count == 1, name
    assert not re.search("^[^#].*# fill in$", text, flags=re.M)
    path = tmp_path / "draft.toml"
    path.write_text(text)
    assert Draft.read(path).specification.privacy.noise_multiplier


def test_a_file_that_exists_is_kept(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.toml").write_text("mine = true")
    (tmp_path / "schema.toml").symlink_to(tmp_path / "elsewhere.toml")
    result = cli("init")
    assert "kept policy.toml: it exists" in result.out
    assert "kept schema.toml: it exists" in result.out
    assert (tmp_path / "policy.toml").read_text() == "mine = true"
    assert not (tmp_path / "elsewhere.toml").exists()
    assert tomllib.loads((tmp_path / "fedpact.toml").read_text()) == {"account": ""}
    before = (tmp_path / "draft.toml").read_text()
    assert cli("init").out.count("kept") == 4
    assert (tmp_path / "draft.toml").read_text() == before


def test_a_folder_that_is_a_file_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    result = cli("init", tmp_path / "taken")
    assert (result.code, "taken: File exists" in result.err) == (StorageUnavailable.exit_code, True)


def test_a_line_that_is_added_to_a_file_counts() -> None:
    for text in starting_files().values():
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
