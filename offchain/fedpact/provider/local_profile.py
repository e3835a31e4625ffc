"""A provider's profile as it is kept on its machine, and what the ledger must know of it."""

import logging
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from fedpact.errors import NotReady, StateError
from fedpact.privacy.ledger.check import reconcile
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.data_sets import OwnData
from fedpact.provider.files import profile_file
from fedpact.retrieval.profiles import document
from fedpact.retrieval.profiles.document import DataType
from fedpact.types.cid import Cid
from fedpact.types.document import Document, canonical_json
from fedpact.types.privacy import PrivacyMode

log = logging.getLogger(__name__)

NO_DEPLOYMENT = bytes(32)
"""A signature belongs to the data, not to a deployment; the ledger records its releases under
request 0."""


class LocalCluster(Document):
    documents: int
    terms: tuple[str, ...]


class LocalProfile(Document):
    """What `build` keeps in the state folder; only what `published` reads leaves the machine."""

    version: Literal[1] = 1
    type: DataType
    task: Literal["classification", "regression"]
    categories: tuple[str, ...]
    size: Annotated[int, Field(ge=1)]
    data_schema: str
    schema_words: tuple[str, ...]
    """Words from the names of columns and labels, which the signature contains beside the data."""
    labels: tuple[str, ...]
    """Declared names of the labels."""
    mode: PrivacyMode
    release: document.Release | None
    signature: str | None
    """Hex byte form of the part from records, noised in mode sound; None if there is none."""
    records: str
    """Hex digest of the records that it was built from."""
    data_id: str = ""
    """Of the data set that it was built from; empty if an earlier version built it."""
    graph: tuple[tuple[str, float], ...]
    """Heaviest nodes and edges of the texts' merged context graph."""
    clusters: tuple[LocalCluster, ...]
    silhouette: float | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises NotReady if no profile was built, StateError if the file is not a profile."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise NotReady("no profile yet: run `fedpact provider profile build`") from None
        except (OSError, ValidationError) as error:
            raise StateError(f"{path} is not a profile of this version: build it again") from error

    @property
    def released(self) -> list[tuple[ReleaseId, bytes]]:
        """Releases that the ledger must contain (`privacy.ledger.check`); none without noise."""
        if self.release is None or self.signature is None:
            return []
        which = release_id_of(bytes.fromhex(self.records), self.release.noise_multiplier)
        return [(which, Cid.of(bytes.fromhex(self.signature)).digest)]

    def write(self, path: Path) -> None:
        """Write atomically, readable by the owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(canonical_json(self.model_dump(mode="json")))
        partial.replace(path)


def release_id_of(records: bytes, noise_multiplier: float) -> ReleaseId:
    """The same for the same records and noise multiplier, so that noise is never drawn twice."""
    seed = sha256(records + repr(noise_multiplier).encode()).digest()
    return ReleaseId(NO_DEPLOYMENT, 0, int.from_bytes(seed[:7], "big"))


def built_releases(state: Path, address: str) -> list[tuple[ReleaseId, bytes]]:
    """Releases that the ledger must contain for the profile in the state folder, if there is one.

    Raises StateError if the file is not a profile.
    """
    path = profile_file(state, address)
    return LocalProfile.read(path).released if path.exists() else []


def restore(ledger: Ledger, served: Sequence[OwnData], state: Path, address: str) -> None:
    """Charge the profile in the state folder if the ledger, an older copy, does not know it.

    To the data sets that it was built from, or to all that are served if it was built from none of
    them. Raises StateError if the file is not a profile, LedgerError if the ledger holds another
    draw.
    """
    path = profile_file(state, address)
    if not path.exists():
        return
    local = LocalProfile.read(path)
    for release_id, _ in local.released:
        assert local.release is not None
        assert local.signature is not None
        if ledger.stored(release_id) is None:
            read = [one.records.load() for one in served]
            found = [one for one in read if one.schema.data_id == local.data_id] or read
            ledger.release(
                release_id,
                [unit for one in found for unit in one.units],
                GaussianRelease(local.release.noise_multiplier, 1.0, 1),
                bytes.fromhex(local.signature),
                datasets={one.schema.data_id for one in found},
            )
            log.warning("the ledger did not know the profile %s: it is charged now", path)
    reconcile(ledger, local.released)
