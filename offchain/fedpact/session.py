"""One way to connect: what a set of settings leads to, for commands and Python programs alike."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpact.closing import Closing

if TYPE_CHECKING:
    from fedpact.audit import AuditReport
    from fedpact.chain.client import AnyClient, ChainClient
    from fedpact.chain.keystore import AccountKeys
    from fedpact.content.store import ContentStore
    from fedpact.requester.requester import Requester
    from fedpact.settings import Settings
    from fedpact.types.deployment import Deployment


@dataclass
class Session(Closing):
    """Settings, chain, content store and account, each opened on first use and then kept.

    Opening a part raises SettingsError, DeploymentError, KeyStoreError or NodeUnreachable.
    Use a session from one thread only.
    """

    config: Path | None = None
    """Settings file; by default ./fedpact.toml, else ~/.config/fedpact/config.toml."""
    overrides: dict[str, Any] = field(default_factory=dict, repr=False)
    """Settings that replace those of the file and the environment, by name; None keeps them."""
    prompt: Callable[[str], str] | None = None
    """Asks the user for a password where neither a file nor FEDPACT_PASSWORD holds it; called with
    the question. None: a missing password raises KeyStoreError."""

    @cached_property
    def settings(self) -> "Settings":
        from fedpact import settings

        return settings.load(self.config, self.overrides)

    @cached_property
    def deployment(self) -> "Deployment":
        from fedpact.chain import deployment_file

        return deployment_file.load(self.settings.deployment)

    @cached_property
    def chain(self) -> "AnyClient":
        """Of either protocol; for audits."""
        from fedpact.chain.client import connect_to

        settings = self.settings
        return connect_to(
            settings.endpoint,
            self.deployment,
            calls_per_minute=settings.calls_per_minute,
            outbox=settings.state / "outbox.sqlite",
            max_fee=settings.max_fee,
        )

    @property
    def client(self) -> "ChainClient":
        """Raises DeploymentError if the deployment is of the first protocol."""
        from fedpact.chain import deployment_file
        from fedpact.chain.client import ChainClient

        deployment_file.require_second(self.deployment, self.settings.deployment)
        assert isinstance(self.chain, ChainClient)
        return self.chain

    @cached_property
    def store(self) -> "ContentStore":
        from fedpact.content.store_address import open_store

        settings = self.settings
        return open_store(*settings.store, credentials=settings.store_credentials)

    @cached_property
    def keys(self) -> "AccountKeys":
        """Of the account in the settings, which needs its password; acting for its wallet, if one
        is set."""
        from fedpact.chain import keystore

        account = self.settings.chosen_account()
        password = self.password(f"password of {account}")
        keys = keystore.unlock(self.settings.keystore, account, password)
        return replace(keys, wallet=self.settings.wallet or None)

    def address(self) -> str:
        """Of the account in the settings, or of its wallet; works without its key store."""
        return self.settings.wallet or self.address_of(self.settings.chosen_account())

    def address_of(self, account: str) -> str:
        """Of an account given by its address, or by its name in the key store folder."""
        from eth_utils.address import is_address, to_checksum_address

        from fedpact.chain import keystore
        from fedpact.errors import KeyStoreError

        if is_address(account):
            return to_checksum_address(account)
        stored = keystore.find_account(self.settings.keystore, account)
        if stored.address is None:
            raise KeyStoreError(
                f"{stored.path} does not name its address: give that as the account"
            )
        return stored.address

    def password(self, question: str) -> str:
        """From the password file, FEDPACT_PASSWORD or `prompt`, in this order."""
        from fedpact.chain.keystore import read_password

        prompt = self.prompt
        ask = None if prompt is None else lambda: prompt(question)
        return read_password(self.settings.password_file, ask)

    @cached_property
    def requester(self) -> "Requester":
        """Publishes, follows, fetches and buys for the account in the settings."""
        from fedpact.requester.requester import Requester

        settings = self.settings
        return Requester(
            self.client, self.store, self.keys, settings.state, keep_days=settings.keep_days
        )

    def close(self) -> None:
        """End the connections that were opened."""
        for part in ("chain", "store"):
            if part in self.__dict__:
                self.__dict__.pop(part).close()

    def audit(self, request_id: int, *, sealed: bool = False) -> "AuditReport":
        """Recompute a request from the chain and the content store alone.

        `sealed`: open the models too, with the keys of the account; it must be a member of the
        request or an auditor that the specification names. Raises UnknownRequest.
        """
        from fedpact.audit import audit

        keys = self.keys if sealed else None
        confirmations = self.settings.confirmations
        return audit(self.chain, self.store, request_id, keys, confirmations=confirmations)
