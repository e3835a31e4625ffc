"""What the commands share: settings, chain, store and keys, each opened when first asked for."""

import sys
from dataclasses import dataclass, field
from functools import cached_property
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fedpact.errors import KeyStoreError

if TYPE_CHECKING:
    from fedpact.chain.client import ChainClient
    from fedpact.chain.keystore import AccountKeys
    from fedpact.content.store import ContentStore
    from fedpact.requester import Requester
    from fedpact.settings import Settings
    from fedpact.types.deployment import Deployment


@dataclass
class Session:
    """One run of the command line; `flags` are the settings given as options."""

    config: Path | None = None
    flags: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def settings(self) -> "Settings":
        from fedpact import settings

        return settings.load(self.config, self.flags)

    @cached_property
    def deployment(self) -> "Deployment":
        from fedpact.chain import deployment

        return deployment.load(self.settings.deployment)

    @cached_property
    def client(self) -> "ChainClient":
        from fedpact.chain.client import ChainClient

        return ChainClient.connect(self.settings.endpoint, self.deployment)

    @cached_property
    def store(self) -> "ContentStore":
        from fedpact.content.store import open_store

        return open_store(self.settings.store)

    @cached_property
    def keys(self) -> "AccountKeys":
        from fedpact.chain import keystore

        account = self.settings.chosen_account()
        return keystore.unlock(
            self.settings.keystore, account, self.password(f"password of {account}")
        )

    def address(self) -> str:
        """Of the chosen account, which need not be unlocked or even stored here."""
        return self.address_of(self.settings.chosen_account())

    def address_of(self, account: str) -> str:
        """Of an account given by its address, or by its name in the key store folder."""
        from eth_utils.address import is_address, to_checksum_address

        from fedpact.chain import keystore

        if is_address(account):
            return to_checksum_address(account)
        return keystore.find_account(self.settings.keystore, account).address

    def password(self, question: str, *, confirm: bool = False) -> str:
        """From the settings' file, FEDPACT_PASSWORD or a prompt, in this order."""
        from fedpact.chain.keystore import read_password

        def ask() -> str:
            typed = getpass(f"{question}: ")
            if confirm and getpass("once more: ") != typed:
                raise KeyStoreError("the two passwords differ")
            return typed

        return read_password(self.settings.password_file, ask if sys.stdin.isatty() else None)

    @cached_property
    def requester(self) -> "Requester":
        from fedpact.requester import Requester

        return Requester(self.client, self.store, self.keys, self.settings.state)


def of(context: typer.Context) -> Session:
    """The session that the root command put into the context."""
    session = context.find_object(Session)
    return session if session is not None else Session()
