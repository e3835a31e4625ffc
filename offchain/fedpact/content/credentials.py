"""Credentials of IPFS nodes, from a file: never from an argument, in a log line or an error.

The file is TOML, one table for each address in `store`; a node takes a bearer token, or a user and
a password (Kubo: `API.Authorizations`):

    ["https://ipfs.example.org:5001"]
    token = "..."

    ["http://10.0.0.7:5001"]
    user = "fedpact"
    password = "..."
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import SecretStr, TypeAdapter, ValidationError, model_validator

from fedpact.errors import SettingsError
from fedpact.types.document import Document
from fedpact.types.urls import without_credentials

OTHERS = 0o077
"""The permission bits of group and others."""


class Credential(Document):
    """What one node asks for: `token`, or `user` and `password`."""

    token: SecretStr | None = None
    user: str | None = None
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        basic = self.user is not None and self.password is not None
        if basic == (self.token is not None) or (self.user is None) != (self.password is None):
            raise ValueError("give a token, or a user and a password")
        return self


_FILE = TypeAdapter(dict[str, Credential])


def read_credentials(path: Path) -> Mapping[str, Credential]:
    """The credentials by the node's address, without a trailing slash.

    Raises SettingsError for a file that is missing or malformed, or that others may read.
    """
    try:
        if path.stat().st_mode & OTHERS:
            raise SettingsError(f"store credentials {path}: others can read it: chmod 600 {path}")
        found = _FILE.validate_python(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingsError(f"store credentials {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = without_credentials(".".join(str(part) for part in first["loc"]))
        raise SettingsError(f"store credentials {path}: {where}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        # A parser's message may quote the line, and so the secret.
        raise SettingsError(f"store credentials {path}: not a TOML file") from error
    return {address.rstrip("/"): one for address, one in found.items()}
