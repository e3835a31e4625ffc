"""Networks that a request names by their CID: files on this machine, pinned by digest.

Nobody is sent a file unasked. Owners add those that they trust (`fedpact network add` and `fetch`),
and a provider's daemon fetches one only if its policy lists the digest.
"""

import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from fedpact.content.store import ContentStore
from fedpact.errors import DataError, DataMissing
from fedpact.features.networks.allowed import MAX_BYTES, Form
from fedpact.features.networks.session import FrozenSession
from fedpact.features.networks.trial import tried
from fedpact.settings import home
from fedpact.types.cid import Cid

FOLDER_VARIABLE = "FEDPACT_NETWORKS"


def networks_folder() -> Path:
    """Where files of networks are kept: FEDPACT_NETWORKS, else a folder in the user's own."""
    return Path(os.environ.get(FOLDER_VARIABLE) or home() / "networks")


@dataclass(frozen=True)
class NamedNetwork:
    """A network that a specification names."""

    cid: Cid
    digest: str
    """Hex sha-256 of the file."""
    form: Form

    @property
    def statement(self) -> str:
        """What a promise of privacy must say of it."""
        return (
            f"features of the network {self.cid} (sha-256 {self.digest[:12]}…), which the "
            "requester named: what it has seen is not covered"
        )

    @property
    def path(self) -> Path:
        return networks_folder() / f"{self.digest}.onnx"

    def obtain(self, store: ContentStore) -> None:
        """Have the file on this machine; what is there already is not fetched again.

        Raises DataError for another file than was named or one that is refused, and what the store
        raises.
        """
        if not self.path.is_file():
            content = store.get(self.cid, MAX_BYTES)
            digest = sha256(content).hexdigest()
            if digest != self.digest:
                raise DataError(
                    f"network {self.cid}: it has sha-256 {digest}, not {self.digest} as named"
                )
            keep(content)
        self.session()

    def session(self) -> FrozenSession:
        """The network, ready to run.

        Raises DataMissing without its file, DataError for another file or another form."""
        found = _session(self.path, self.digest, str(self.cid))
        if found.shapes != self.form.shapes:
            raise DataError(
                f"network {self.cid}: it has the shapes {found.shapes}, named with "
                f"{self.form.shapes}"
            )
        return found


def keep(content: bytes) -> tuple[Form, str]:
    """Try a network's file and keep it in `networks_folder`; its form and hex sha-256.

    Raises DataError, with the reason, for a file that is refused; nothing is kept then.
    """
    if len(content) > MAX_BYTES:
        raise DataError(f"network of {len(content)} bytes: at most {MAX_BYTES}")
    folder, digest = networks_folder(), sha256(content).hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".trial-") as file:
            file.write(content)
            file.flush()
            form = tried(Path(file.name))
            os.link(file.name, partial := folder / f".{digest}.{os.getpid()}")
            os.replace(partial, folder / f"{digest}.onnx")
    except OSError as error:
        raise DataError(f"networks in {folder}: {error.strerror or error}") from error
    return form, digest


@lru_cache(maxsize=4)
def _session(path: Path, digest: str, cid: str) -> FrozenSession:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataMissing(f"no network {cid}: fedpact network fetch {cid}") from error
    found = sha256(content).hexdigest()
    if found != digest:
        raise DataError(f"network {path}: it has sha-256 {found}, not {digest}")
    return FrozenSession(content)
