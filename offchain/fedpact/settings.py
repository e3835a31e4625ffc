"""Settings from a TOML file, then the environment (FEDPACT_*), then flags; later ones win.

The file is the one given, else ./fedpact.toml, else ~/.config/fedpact/config.toml. Relative
paths in the file are relative to the file, all others to the working folder. Passwords are not
settings: they come from a prompt, a file or FEDPACT_PASSWORD, never from a flag. Addresses of nodes
and stores may carry credentials or a provider's key, so that no `repr` shows them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from eth_utils.address import is_address, to_checksum_address
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from fedpact.errors import SettingsError
from fedpact.types.device import DEVICE, PROCESSOR
from fedpact.types.files import read_toml
from fedpact.types.urls import without_credentials
from fedpact.types.validation import said

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LOCAL_FILE = "fedpact.toml"
PATH_FIELDS = frozenset({"deployment", "keystore", "password_file", "state", "store_credentials"})


def home() -> Path:
    """The user's folder of configuration and state."""
    return Path("~/.config/fedpact").expanduser()


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FEDPACT_", extra="forbid", frozen=True)

    endpoint: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("http://127.0.0.1:8545",), repr=False
    )
    """Ethereum nodes: http(s)://, ws(s):// or the path of an IPC socket; a list, or a text with
    commas. The best one answers, and another takes over where it fails. Those over WebSocket push
    new heads."""
    calls_per_minute: Annotated[int, Field(ge=0)] = 0
    """Most JSON-RPC calls a minute to each node; 0: any number."""
    quorum: Annotated[int, Field(ge=1)] = 1
    """Nodes that must name the same block before a start, a submission and a reveal."""
    max_fee_gwei: Annotated[float, Field(gt=0, le=10**9)] = 500.0
    """Most gwei to pay for a gas, tip included; above it nothing is sent."""
    deployment: Path = Path("deployment.json")
    """File written by `fedpact deploy`."""
    store: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda: (str(home() / "content"),), repr=False
    )
    """Content stores, each a folder (embedded store) or the http(s) address of an IPFS node's RPC;
    a list, or a text with commas. All are written to; the first that has the content is read."""
    store_credentials: Path | None = None
    """File with the tokens or passwords of IPFS nodes (`content.credentials`)."""
    keep_days: Annotated[float, Field(ge=0, le=36_500)] = 7.0
    """Days for which a request's content is kept after the request has ended."""
    store_prune: bool = False
    """Whether a provider's daemon unpins what no account in the state folder owes any more. Not for
    a store that others fill too: equal items are one item there."""
    store_quota_gib: Annotated[float, Field(ge=0, le=10**9)] = 0.0
    """GiB of content that a provider keeps; a request that would not fit is declined. 0: any
    amount."""
    keystore: Path = Field(default_factory=lambda: home() / "keys")
    """Folder of eth-account key stores."""
    account: str | None = None
    """Address or name of the account that acts."""
    wallet: str = ""
    """Address of a contract wallet that `account` owns, and that acts in its place: the account's
    key signs for it (ERC-1271), sends the transactions and pays for them, and has the wallet make
    the calls that it must make itself (ERC-7821)."""
    password_file: Path | None = None
    """File whose first line is the account's password."""
    confirmations: Annotated[int, Field(ge=0, le=1000)] = 0
    """Blocks on top of a fact before the daemon acts on it."""
    poll_interval: Annotated[float, Field(ge=0.01, le=60)] = 0.1
    """Shortest time between two looks at the chain, in seconds; one at most for a pushed head."""
    listen: str = ""
    """host:port on which the provider's daemon answers searches and messages of rounds; empty: it
    answers none. Where no member of a request answers, rounds cost ten times the gas."""
    advertise: str = ""
    """Address at which others reach that port (http://host:port), for the published profile; by
    default http:// and `listen`."""
    monitor: str = ""
    """host:port, or a port on 127.0.0.1, at which the provider's daemon or the requester's service
    tells its health and metrics; empty: nowhere. Each needs one of its own."""
    max_cycle_age: Annotated[float, Field(gt=0, le=31_536_000)] = 120.0
    """Seconds without a successful cycle after which a daemon or service says that it is ill."""
    explorer: str = ""
    """Address of a block explorer, such as https://etherscan.io, to which the dashboard's figures
    link; empty: they link to pages of its own."""
    gateway: str = ""
    """Address of an IPFS gateway, to which the dashboard's contents link; empty: as `explorer`."""
    device: str = PROCESSOR
    """On which networks of torch train at a provider, and answer queries at a requester: cpu, cuda,
    cuda:1, mps, or auto, a GPU if there is one. What others recompute is never computed there."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Of the provider's daemon and the requester's service."""
    state: Path = Field(default_factory=lambda: home() / "state")
    """Folder of the state that a role keeps between runs."""

    @field_validator("deployment", "keystore", "password_file", "state", "store_credentials")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return _with_home(path) if path is not None else None

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        """`calls_per_minute = true` would be one a minute."""
        if isinstance(value, bool) and info.field_name != "store_prune":
            raise ValueError("is not a switch: give a value")
        return value

    @field_validator(*PATH_FIELDS, mode="before")
    @classmethod
    def _named(cls, path: Any) -> Any:
        if path == "":
            raise ValueError("must name a file or folder")
        return path

    @field_validator("endpoint", "store", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str | list | tuple):
            raise ValueError("must be a text or a list of texts")
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("store")
    @classmethod
    def _folders(cls, store: tuple[str, ...]) -> tuple[str, ...]:
        if not store or not all(store):
            raise ValueError("must name a folder or an address")
        return tuple(one if "://" in one else str(_with_home(Path(one))) for one in store)

    @field_validator("endpoint")
    @classmethod
    def _nodes(cls, endpoint: tuple[str, ...]) -> tuple[str, ...]:
        schemes = ("http://", "https://", "ws://", "wss://", "/")
        if not endpoint or not all(one.startswith(schemes) for one in endpoint):
            raise ValueError("must be http(s)://, ws(s):// or the absolute path of a socket")
        return endpoint

    @field_validator("device")
    @classmethod
    def _device(cls, device: str) -> str:
        if not DEVICE.fullmatch(device):
            raise ValueError("must be cpu, cuda, cuda:NUMBER, mps or auto")
        return device

    @field_validator("monitor", mode="before")
    @classmethod
    def _here(cls, monitor: Any) -> Any:
        """A port alone is one that this machine alone reaches."""
        return f"127.0.0.1:{monitor}" if str(monitor).isdecimal() else monitor

    @field_validator("listen", "monitor")
    @classmethod
    def _host_and_port(cls, listen: str) -> str:
        host, _, port = listen.rpartition(":")
        if listen and not (host and port.isdecimal() and int(port) < 2**16):
            raise ValueError("must be host:port")
        _require_parsed(f"http://{listen}")
        return listen

    @field_validator("wallet")
    @classmethod
    def _checksummed(cls, wallet: str) -> str:
        if not wallet:
            return ""
        if not is_address(wallet):
            raise ValueError("must be an address")
        return to_checksum_address(wallet)

    @field_validator("advertise", "explorer", "gateway")
    @classmethod
    def _address(cls, advertise: str) -> str:
        if advertise and not advertise.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        _require_parsed(advertise)
        return advertise.rstrip("/")

    @property
    def advertised(self) -> str:
        """The address in the published profile; empty if the daemon does not answer searches."""
        return self.advertise or (f"http://{self.listen}" if self.listen else "")

    @property
    def max_fee(self) -> int:
        """`max_fee_gwei` in wei."""
        return int(self.max_fee_gwei * 10**9)

    def chosen_account(self) -> str:
        """The account's name or address; raises SettingsError if none is set."""
        if not self.account:
            raise SettingsError(
                "no account: give --account, FEDPACT_ACCOUNT or `account` in the settings file"
            )
        return self.account


def _require_parsed(address: str) -> None:
    """Raises ValueError, without the address: it may have a password."""
    try:
        urlsplit(address)
    except ValueError:
        raise ValueError("not an address that can be parsed") from None


def load(config: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from the file, the environment and `flags` (those that are not None).

    Raises SettingsError for a missing or unreadable file, an unknown setting and a value out of
    range; the message says where the value came from.
    """
    path = _file(config)
    from_file = _read(path) if path is not None else {}
    given = {name: value for name, value in (flags or {}).items() if value is not None}

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file_settings = InitSettingsSource(settings_cls, init_kwargs=from_file)
            return init_settings, env_settings, file_settings

    try:
        return Layered(**given)
    except ValidationError as error:
        raise SettingsError(_one_line(error, given, path)) from error


def _file(config: Path | None) -> Path | None:
    if config is not None:
        if not config.is_file():
            raise SettingsError(f"settings file {config} does not exist")
        return config
    candidates = (Path(LOCAL_FILE), home() / "config.toml")
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    values = read_toml(path, "settings file", SettingsError)
    folder = path.parent.resolve()
    for name, value in values.items():
        if isinstance(value, str) and value and name in PATH_FIELDS:
            values[name] = _beside(folder, value)
    stores = values.get("store", ())
    listed = stores.split(",") if isinstance(stores, str) else stores
    if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
        each = (one.strip() for one in listed)
        values["store"] = tuple(
            _beside(folder, one) if one and "://" not in one else one for one in each
        )
    return values


def _beside(folder: Path, path: str) -> str:
    return path if path.startswith("~") else str(folder / path)


def _with_home(path: Path) -> Path:
    """With a user's folder for `~`."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("there is no such user") from None


def _one_line(error: ValidationError, flags: Mapping[str, Any], path: Path | None) -> str:
    """All that is wrong, each with where it comes from."""
    return "; ".join(_wrong(one, flags, path) for one in error.errors())


def _wrong(one: "ErrorDetails", flags: Mapping[str, Any], path: Path | None) -> str:
    name = str(one["loc"][0])
    if name in flags and one["type"] == "extra_forbidden":
        return f"there is no setting {name}"
    if name in flags:
        source = f"--{name.replace('_', '-')}"
    elif f"FEDPACT_{name.upper()}" in os.environ:
        source = f"FEDPACT_{name.upper()}"
    elif one["type"] == "extra_forbidden":
        return f"settings file {path}: unknown setting {name}"
    else:
        source = f"settings file {path}: {name}"
    return f"{source}: {said(one)}, not {without_credentials(repr(one['input']))}"
