"""Who may see the provider's own page: whoever holds the token of the state folder."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from fedpact.errors import SettingsError

COOKIE = "fedpact_token"
_HOURS = 12


def token_file(folder: Path) -> Path:
    return folder / "token"


def token_of(folder: Path) -> str:
    """The token, made on first use and kept for the owner alone. Raises SettingsError."""
    path = token_file(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"token file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SettingsError(
            f"token file {path}: not UTF-8; remove it, and a new one is made"
        ) from None
    if len(token) < 32:
        raise SettingsError(f"token file {path}: too short; remove it, and a new one is made")
    return token


class Login:
    """Compares tokens, without telling by its time how much of one is right."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def accepts(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)

    def admits(self, request: Request) -> bool:
        """By the cookie, or by a header `Authorization: Bearer TOKEN`."""
        header = request.headers.get("authorization", "")
        given = request.cookies.get(COOKIE) or header.removeprefix("Bearer ")
        return bool(given) and self.accepts(given)

    def enter(self, response: Response, given: str, *, secure: bool) -> None:
        """Set the cookie; only this site's own pages send it, and no script reads it.

        `secure`: whether the reader came by https, after which it goes out by https alone.
        """
        response.set_cookie(
            COOKIE,
            given,
            max_age=_HOURS * 3600,
            httponly=True,
            samesite="strict",
            path="/",
            secure=secure,
        )

    def leave(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path="/")
