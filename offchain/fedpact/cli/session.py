"""The session of one command-line run."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Any

import typer

from fedpact.errors import KeyStoreError
from fedpact.session import Session


def start(config: Path | None, flags: dict[str, Any]) -> Session:
    """A session that asks for passwords if there is a terminal to ask on."""
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    return Session(config, flags, _prompt if on_terminal else None)


def of(context: typer.Context) -> Session:
    """The session that the root command put into the context."""
    session = context.find_object(Session)
    return session if session is not None else start(None, {})


def new_password(session: Session) -> str:
    """The password for a new key store; typed twice if it is typed."""
    from fedpact.chain.keystore import read_password

    return read_password(
        session.settings.password_file, None if session.prompt is None else _typed_twice
    )


def replacing_password(session: Session, file: Path | None) -> str:
    """The password that replaces another: from `file` or typed twice. The setting and the variable
    name the one before."""
    from fedpact.chain.keystore import read_password

    return read_password(file, None if session.prompt is None else _typed_twice, environment={})


def _typed_twice() -> str:
    typed = _prompt("new password")
    if _prompt("repeat password") != typed:
        raise KeyStoreError("the two passwords differ")
    return typed


def _prompt(question: str) -> str:
    return getpass(f"{question}: ")
