"""The content store of a provider's daemon, and its quota."""

from fedpact.consensus.artefacts import sealed_bytes
from fedpact.consensus.secure_sum_record import bytes_of_member
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.pin_register import opened_register
from fedpact.content.pinning import KeptStore
from fedpact.content.store import ContentStore
from fedpact.content.store_address import open_store
from fedpact.learning.families import family_of
from fedpact.provider.files import copies_folder, pins_file
from fedpact.settings import Settings
from fedpact.types.deployment import Deployment
from fedpact.types.specification import Specification

GIB = 1 << 30


def kept_store(settings: Settings, deployment: Deployment, address: str) -> KeptStore:
    """The store in the settings, with a provider's register and copies."""
    return KeptStore(
        open_store(*settings.store, credentials=settings.store_credentials),
        opened_register(pins_file(settings.state, address)),
        EmbeddedStore(copies_folder(settings.state, address)),
        deployment.fingerprint,
        int(settings.store_quota_gib * GIB),
    )


def require_room(store: ContentStore, spec: Specification, locals_: int = 1) -> None:
    """Raise PolicyRefusal if a request's models, `locals_` local ones and a global one a round,
    would pass the quota; under a secure sum so many members' parts."""
    if isinstance(store, KeptStore):
        size = sealed_bytes(family_of(spec).template(spec))
        local = size if spec.privacy.sum is None else bytes_of_member(spec)
        store.require_room((locals_ * local + size) * spec.rounds)
