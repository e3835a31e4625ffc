"""A provider's profile: built from its data, kept on its machine, then published.

Building a sound profile draws its noise and charges the ledger. Building again from the same
records with the same settings returns the same noised signature and charges nothing. The published
document is composed of the kept part and of what the provider declares (categories, endpoint,
price), so a new endpoint costs no privacy.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from pydantic import ValidationError

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.content.store import ContentStore
from fedpact.data.declared import DeclaredData
from fedpact.data.description import attributes
from fedpact.errors import InvalidInput, PolicyRefusal, RetrievalError
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.privacy.releases import GaussianRelease
from fedpact.provider.local_profile import LocalCluster, LocalProfile, release_id_of
from fedpact.provider.policy import Policy
from fedpact.retrieval.messages import Record
from fedpact.retrieval.profiles import composition, document
from fedpact.retrieval.profiles.clusters import ContextView, context_view
from fedpact.retrieval.profiles.document import DataType, Details, Profile
from fedpact.retrieval.profiles.release import exact_sum, noised_sum, release_for, unit_means
from fedpact.retrieval.signature import Signature
from fedpact.types.attributes import Attribute
from fedpact.types.cid import Cid
from fedpact.types.document import canonical_json
from fedpact.types.privacy import PrivacyMode
from fedpact.types.validation import first_error

log = logging.getLogger(__name__)

MIN_UNITS = 50
"""Fewest units of a sound profile: with fewer, the noise would hide what they are about."""


@dataclass(frozen=True)
class ProfileData:
    """Input of a profile."""

    type: DataType
    task: Literal["classification", "regression"]
    texts: tuple[str, ...]
    """One per record if `type` is text; otherwise empty."""
    labels: tuple[str, ...]
    """One per record; empty for a regression."""
    units: tuple[bytes, ...]
    """Digest of each record's privacy unit."""
    shape: tuple[int, ...]
    columns: tuple[str, ...]
    size: int
    """Declared number of units, which is published: the exact one would show that a record came or
    went."""
    dataset: str = ""
    """Identifier of the data set in the ledger."""


@dataclass(frozen=True)
class Published:
    """A profile on chain."""

    cid: Cid
    attributes_root: bytes
    gas: int | None
    """None if it was on chain already."""


def profile_data(data: DeclaredData) -> ProfileData:
    """Records as their schema declares them, for a profile of the same units as in training."""
    found = data.records
    texts = found.kind == "text"
    regression = not texts and not data.schema.labels
    kind: DataType = "array"
    if texts:
        kind = "text"
    elif found.columns:
        kind = "table"
    elif found.x.ndim > 2:
        kind = "image"
    return ProfileData(
        kind,
        "regression" if regression else "classification",
        tuple(found.x.tolist()) if texts else (),
        () if regression else found.labels,
        data.units,
        () if texts else tuple(int(size) for size in found.x.shape[1:]),
        found.columns,
        data.schema.units,
        data.schema.data_id,
    )


def build(
    data: ProfileData,
    categories: Sequence[str],
    policy: Policy,
    ledger: Ledger,
    labels: Sequence[str] = (),
    noise: NoiseSource | None = None,
) -> LocalProfile:
    """A profile of `data`, in mode sound unless the policy sets `profile_without_privacy`.

    `labels`: declared names of all labels. For data other than texts the signature has a histogram
    of these labels. A sound profile without declared labels has none, since the set of labels that
    occur reveals something about the records.

    Raises RetrievalError for data without a signature or with too few units, InvalidInput without
    a category, BudgetExceeded if the release would exceed the lifetime budget.
    """
    if not categories:
        raise InvalidInput(
            "a profile needs a category: pass --category, or list categories in the policy"
        )
    size = data.size
    sound = not policy.profile_without_privacy
    known = tuple(labels) or (() if sound else tuple(sorted(set(data.labels))))
    from_records = bool(data.texts or (known and data.labels))
    release = release_for(policy.profile_epsilon, policy.delta) if sound and from_records else None
    if release is not None and size < MIN_UNITS:
        raise RetrievalError(
            f"profile: {size} units; a sound profile needs {MIN_UNITS}, since the noise would hide "
            "what fewer are about"
        )
    records = _records_digest(data, known)
    part = None
    if release is None:
        part = _plain(data, known) if from_records else None
    else:
        limit = PrivacyLimit(policy.epsilon_lifetime, policy.delta)
        kept = ledger.release(
            release_id_of(records, release.noise_multiplier),
            data.units,
            release,
            lambda: _noised(data, known, release, noise or SystemNoise()).encode(),
            limit,
            [data.dataset] if data.dataset else [],
        )
        part = Signature.decode(kept)
    view = context_view(data.texts) if data.texts else None
    described = attributes(
        data.task,
        categories[0],
        size,
        data.shape,
        data.columns,
        "text" if data.type == "text" else "numbers",
    )
    schema_words = () if data.texts else composition.words_of([*data.columns, *known], 12)
    return LocalProfile(
        type=data.type,
        task=data.task,
        categories=tuple(categories),
        size=size,
        data_schema=described["schema"],
        schema_words=schema_words,
        labels=known,
        mode=PrivacyMode.SOUND if sound else PrivacyMode.NONE,
        release=_shown(policy, release),
        signature=None if part is None else part.encode().hex(),
        records=records.hex(),
        data_id=data.dataset,
        **_local(view),
    )


def published(local: LocalProfile, keys: AccountKeys, endpoint: str, price: int) -> Profile:
    """The document that `publish` publishes; the same bytes each time.

    Raises RetrievalError if it exceeds its size limit or a field is invalid.
    """
    part = None if local.signature is None else Signature.decode(bytes.fromhex(local.signature))
    signature = composition.composed(part, local.categories, local.schema_words)
    hidden = _hidden(local, keys)
    pairs = document.shown(local.type, local.size, local.data_schema, local.categories)
    try:
        details = Details(
            type=local.type,
            task=local.task,
            categories=local.categories,
            size=local.size,
            data_schema=local.data_schema,
            mode=local.mode,
            release=local.release,
            endpoint=endpoint,
            price=str(price),
            salts=tuple(document.base64_of(_salt(local, keys, name)) for name, _ in pairs),
            hidden=tuple(document.base64_of(attribute.leaf()) for attribute in hidden),
        )
    except ValidationError as error:
        raise RetrievalError(f"profile: {first_error(error)}") from error
    node = bytes.fromhex(keys.address.removeprefix("0x"))
    return Profile(Record(node, signature, details.encode()), details)


def publish(client: ChainClient, store: ContentStore, keys: AccountKeys, one: Profile) -> Published:
    """Put the document into the store and its digest on chain, unless it is on chain already."""
    participant = client.registry.participant(keys.address)
    if not participant.active:
        raise InvalidInput(f"{keys.address} is not an active participant: see `fedpact register`")
    cid = store.put(one.record.document)
    root = one.details.tree.root
    if participant.profile_hash == one.profile_hash:
        return Published(cid, root, None)
    receipt = client.registry.set_profile(keys, cid.digest, root)
    return Published(cid, root, receipt.gas_used)


def disclosed(local: LocalProfile, keys: AccountKeys, name: str) -> dict[str, Any]:
    """The arguments of `verifyAttribute` for one attribute, which may be hidden, as hex strings.

    Raises InvalidInput for an attribute that the profile does not have.
    """
    one = published(local, keys, "", 0)
    found = (*one.details.attributes, *_hidden(local, keys))
    for index, attribute in enumerate(found):
        if attribute.name == document.name32(name):
            return {
                "name": attribute.name.hex(),
                "value": attribute.value.hex(),
                "salt": attribute.salt.hex(),
                "proof": [sibling.hex() for sibling in one.details.tree.proof(index)],
                "attributes_root": one.details.tree.root.hex(),
            }
    names = ", ".join(one.name.rstrip(b"\0").decode() for one in found)
    raise InvalidInput(f"no attribute {name!r}: the profile has {names}")


def refuse_unless_sound(one: Details, policy: Policy) -> None:
    """Raises PolicyRefusal for a profile without noise, unless the policy allows it."""
    if one.mode is PrivacyMode.NONE and not policy.profile_without_privacy:
        raise PolicyRefusal(
            "the profile was built without noise, and the policy does not set "
            "profile_without_privacy: build it again"
        )


def _plain(data: ProfileData, labels: tuple[str, ...]) -> Signature:
    rows = (
        composition.context_rows(data.texts)
        if data.texts
        else composition.label_rows(data.labels, labels)
    )
    return _part(exact_sum(unit_means(rows, data.units)), data, labels)


def _noised(
    data: ProfileData, labels: tuple[str, ...], release: GaussianRelease, noise: NoiseSource
) -> Signature:
    rows = (
        composition.term_rows(data.texts)
        if data.texts
        else composition.label_rows(data.labels, labels)
    )
    total = exact_sum(unit_means(rows, data.units))
    return _part(noised_sum(total, release, noise), data, labels)


def _part(total: Any, data: ProfileData, labels: tuple[str, ...]) -> Signature:
    if data.texts:
        return composition.data_part(total)
    found = composition.label_part(total, labels)
    if found is None:  # no count exceeds the noise: use the labels, which are declared anyway
        found = composition.composed(None, (), composition.words_of(labels, 12) or ("label",))
    return found


def _records_digest(data: ProfileData, labels: tuple[str, ...]) -> bytes:
    """Digest of the set of units and how they are read; order and repetition do not matter."""
    units = sha256(b"".join(sorted(set(data.units)))).digest()
    reading = json.dumps([data.type, data.task, list(data.columns), labels]).encode()
    return sha256(b"profile\x1f" + units + reading).digest()


def _shown(policy: Policy, release: GaussianRelease | None) -> document.Release | None:
    if release is None:
        return None
    return document.Release(
        epsilon=policy.profile_epsilon,
        delta=policy.delta,
        noise_multiplier=release.noise_multiplier,
    )


def _hidden(local: LocalProfile, keys: AccountKeys) -> tuple[Attribute, ...]:
    """Attributes of which only the leaf is published: the list of labels."""
    if not local.labels:
        return ()
    name = document.name32("labels")
    value = sha256(canonical_json(list(local.labels))).digest()
    return (Attribute(name, value, _salt(local, keys, name)),)


def _salt(local: LocalProfile, keys: AccountKeys, name: bytes) -> bytes:
    return keys.derive("attribute-salt", bytes.fromhex(local.records), name)


def _local(view: ContextView | None) -> dict[str, Any]:
    if view is None:
        return {"graph": (), "clusters": (), "silhouette": None}
    clusters = tuple(LocalCluster(documents=o.documents, terms=o.terms) for o in view.clusters)
    return {"graph": view.heaviest, "clusters": clusters, "silhouette": view.silhouette}
