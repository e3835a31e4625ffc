"""Where settings come from, and what is said about those that cannot be used."""

from pathlib import Path

import pytest

from fedpact import settings
from fedpact.errors import SettingsError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_flags_win_over_environment_over_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(
        tmp_path / "fedpact.toml", 'account = "file"\nconfirmations = 3\nstore = "content"\n'
    )
    assert settings.load(config).account == "file"

    monkeypatch.setenv("FEDPACT_ACCOUNT", "environment")
    assert settings.load(config).account == "environment"

    chosen = settings.load(config, {"account": "flag", "store": None})
    assert chosen.account == "flag"
    assert chosen.confirmations == 3
    assert chosen.poll_interval == 0.1


def test_a_setting_that_there_is_not_is_said() -> None:
    """It was told of as an option of the command line, to those who use Python."""
    with pytest.raises(SettingsError, match=r"^there is no setting banana$"):
        settings.load(None, {"banana": 3})


def test_the_local_file_wins_over_the_users(tmp_path: Path) -> None:
    write(settings.home() / "config.toml", 'account = "user"')
    assert settings.load().account == "user"

    write(tmp_path / "fedpact.toml", 'account = "local"')
    assert settings.load().account == "local"


def test_relative_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    config = write(
        tmp_path / "deep" / "fedpact.toml",
        'deployment = "d.json"\nstore = "content"\nstate = "/var/fedpact"\nkeystore = "~/keys"\n',
    )

    chosen = settings.load(config)

    assert chosen.deployment == tmp_path / "deep" / "d.json"
    assert chosen.store == (str(tmp_path / "deep" / "content"),)
    assert chosen.state == Path("/var/fedpact")
    assert chosen.keystore == Path("~/keys").expanduser()


def test_the_address_of_a_store_is_left_alone(tmp_path: Path) -> None:
    config = write(tmp_path / "fedpact.toml", 'store = "http://127.0.0.1:5001"')
    assert settings.load(config).store == ("http://127.0.0.1:5001",)


def test_several_stores_are_a_list_or_a_text_with_commas(tmp_path: Path) -> None:
    listed = ("http://127.0.0.1:5001", str(tmp_path / "kept"))
    for text in ('["http://127.0.0.1:5001", "kept"]', '"http://127.0.0.1:5001, kept"'):
        config = write(tmp_path / "fedpact.toml", f"store = {text}")
        assert settings.load(config).store == listed
    assert settings.load(config, {"store": "a,b"}).store == ("a", "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("calls_per_minute = true", "calls_per_minute: is not a switch"),
        ("store = {a = 1}", "store: must be a text or a list"),
        ('store = ""', "store: must name a folder"),
        ('store = "content,"', "store: must name a folder"),
        ("store = []", "store: must name a folder"),
        ('state = ""', "state: must name a file or folder"),
    ],
)
def test_a_value_of_another_kind_is_not_made_to_fit(tmp_path: Path, text: str, said: str) -> None:
    """It was one call a minute, a folder named a, and the settings file's own folder."""
    config = write(tmp_path / "fedpact.toml", text)
    with pytest.raises(SettingsError, match=said):
        settings.load(config)


def test_a_wrong_setting_does_not_show_a_password(tmp_path: Path) -> None:
    config = write(tmp_path / "fedpact.toml", 'advertise = "ftp://user:s3cret@host"')
    with pytest.raises(SettingsError, match="must start with http") as refused:
        settings.load(config)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acount = 'x'", "unknown setting acount"),
        ("acount = 'x'\nlisten = 5", "listen: .*; settings file .*: unknown setting acount"),
        ("confirmations = -1", "confirmations: Input should be greater than or equal to 0"),
        ("endpoint = 'node:8545'", "must be http"),
        ("advertise = 'http://[x]'", "advertise: .*not an address that can be parsed"),
        ("listen = '[x]:80'", "listen: .*not an address that can be parsed"),
        ("endpoint = ", "Invalid value"),
        ("password = 'secret'", "unknown setting password"),
    ],
)
def test_a_bad_file_is_reported_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    config = write(tmp_path / "fedpact.toml", text)

    with pytest.raises(SettingsError, match=said) as raised:
        settings.load(config)

    assert "fedpact.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bad_variable_or_flag_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="--poll-interval"):
        settings.load(flags={"poll_interval": 0})
    monkeypatch.setenv("FEDPACT_CONFIRMATIONS", "many")
    with pytest.raises(SettingsError, match="FEDPACT_CONFIRMATIONS"):
        settings.load()


@pytest.mark.parametrize("name", ["keep_days", "max_fee_gwei", "store_quota_gib", "max_cycle_age"])
@pytest.mark.parametrize("value", ["inf", "nan", "1e300"])
def test_no_setting_is_without_end(tmp_path: Path, name: str, value: str) -> None:
    """`keep_days = inf` ended a daemon at its start with a trace."""
    with pytest.raises(SettingsError, match=name):
        settings.load(write(tmp_path / "fedpact.toml", f"{name} = {value}"))


def test_a_named_settings_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings file .* does not exist"):
        settings.load(tmp_path / "none.toml")


def test_a_command_that_acts_needs_an_account() -> None:
    with pytest.raises(SettingsError, match="--account"):
        settings.load().chosen_account()


def test_addresses_are_not_shown_for_they_may_carry_credentials() -> None:
    endpoint, store = "https://user:hidden@node.example/hidden", "https://user:hidden@ipfs.example"
    loaded = settings.load(None, {"endpoint": endpoint, "store": store})
    assert loaded.endpoint == (endpoint,)
    assert "hidden" not in f"{loaded} {loaded!r}"


def test_a_wallet_is_an_address(tmp_path: Path) -> None:
    address = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
    config = write(tmp_path / "fedpact.toml", f'wallet = "{address}"')
    assert settings.load(config).wallet == "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    with pytest.raises(SettingsError, match="wallet: must be an address, not 'alice'"):
        settings.load(write(tmp_path / "fedpact.toml", 'wallet = "alice"'))
