"""A provider's profile, from its files to the document that is published."""

import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedpact.chain.keystore import AccountKeys
from fedpact.data.declared import DeclaredData
from fedpact.data.schema_draft import propose
from fedpact.errors import (
    BudgetExceeded,
    DataError,
    InvalidInput,
    LedgerError,
    NotReady,
    PolicyRefusal,
    RetrievalError,
    StateError,
)
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger.check import reconcile
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.noise import SeededNoise
from fedpact.provider import profile
from fedpact.provider.files import profile_file
from fedpact.provider.local_profile import LocalProfile, restore
from fedpact.provider.policy import Policy
from fedpact.provider.profile import ProfileData
from fedpact.retrieval.profiles.document import Profile, name32
from fedpact.retrieval.signature import Signature, weighted_jaccard
from fedpact.retrieval.vectors import query_of_terms
from fedpact.types.attributes import Attribute, verify_attribute
from fedpact.types.privacy import PrivacyMode

SOUND = Policy(categories=("sports/hockey",))
PLAIN = Policy(categories=("sports/hockey",), profile_without_privacy=True)
WORDS = ["hockey", "goalkeeper", "stadium", "referee", "penalty"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite", b"k" * 32) as opened:
        yield opened


@pytest.fixture
def keys() -> AccountKeys:
    from eth_account import Account

    return AccountKeys(Account.from_key(b"\1" * 32))


def posts(folder: Path, count: int = 120, seed: int = 0) -> Path:
    """A folder of texts about hockey, in two labels."""
    generator = np.random.default_rng(seed)
    for index in range(count):
        group = folder / ("news" if index % 3 else "results")
        group.mkdir(parents=True, exist_ok=True)
        words = " ".join(generator.choice(WORDS, 4, replace=False))
        (group / f"{index:04d}").write_text(f"the {words} number{index}", encoding="utf-8")
    return folder


def read_data(path: Path, **how: str) -> ProfileData:
    return profile.profile_data(DeclaredData.read(path, propose(path, "any", **how)))


def test_a_sound_profile_of_texts_is_found_by_its_topic_and_charged_once(
    tmp_path: Path, ledger: Ledger
) -> None:
    data = read_data(posts(tmp_path / "posts", 400))
    assert (data.type, len(data.texts)) == ("text", 400)
    built = profile.build(data, SOUND.categories, SOUND, ledger)
    again = profile.build(data, SOUND.categories, SOUND, ledger)
    assert built == again
    assert built.mode is PrivacyMode.SOUND
    assert built.release is not None
    entries = ledger.entries()
    assert len(entries) == 1
    assert entries[0].event is not None
    assert cost(entries[0].event, 1e-5).epsilon == pytest.approx(2.0, abs=0.01)
    assert 1.999 < ledger.spent(1e-5).epsilon <= 2.0
    assert built.signature is not None
    signature = Signature.decode(bytes.fromhex(built.signature))
    assert weighted_jaccard(query_of_terms(WORDS), signature) > 0.2


def test_other_records_or_another_epsilon_are_another_release(
    tmp_path: Path, ledger: Ledger
) -> None:
    data = read_data(posts(tmp_path / "posts"))
    profile.build(data, ("a",), SOUND, ledger)
    profile.build(data, ("another category",), SOUND, ledger)
    assert len(ledger.entries()) == 1
    profile.build(data, ("a",), SOUND.model_copy(update={"profile_epsilon": 1.0}), ledger)
    posts(tmp_path / "posts", 130)
    profile.build(read_data(tmp_path / "posts"), ("a",), SOUND, ledger)
    assert len(ledger.entries()) == 3


def test_a_ledger_from_before_the_profile_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    data = read_data(posts(tmp_path / "posts"))
    built = profile.build(data, ("a",), SOUND, ledger)
    reconcile(ledger, built.released)
    with (
        Ledger(tmp_path / "older.db", bytes(32)) as older,
        pytest.raises(LedgerError, match=r"older copy.*the profile that it built, is not in it"),
    ):
        reconcile(older, built.released)


def test_a_profile_without_noise_asks_nothing_of_the_ledger(tmp_path: Path, ledger: Ledger) -> None:
    data = read_data(posts(tmp_path / "posts"))
    assert profile.build(data, ("a",), PLAIN, ledger).released == []


def test_a_release_beyond_the_lifetime_budget_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    poor = SOUND.model_copy(update={"epsilon_lifetime": 1.0})
    data = read_data(posts(tmp_path / "posts"))
    with pytest.raises(BudgetExceeded):
        profile.build(data, ("a",), poor, ledger)
    assert ledger.entries() == []


def test_without_noise_only_where_the_policy_says_so(
    tmp_path: Path, ledger: Ledger, keys: AccountKeys
) -> None:
    data = read_data(posts(tmp_path / "posts", 3))
    built = profile.build(data, ("a",), PLAIN, ledger)
    assert built.mode is PrivacyMode.NONE
    assert built.release is None
    assert ledger.entries() == []
    one = profile.published(built, keys, "", 0)
    profile.refuse_unless_sound(one.details, PLAIN)
    with pytest.raises(PolicyRefusal, match="without noise"):
        profile.refuse_unless_sound(one.details, SOUND)


def test_the_document_is_the_same_each_time_and_proves_its_attributes(
    tmp_path: Path, ledger: Ledger, keys: AccountKeys
) -> None:
    data = read_data(posts(tmp_path / "posts"))
    built = profile.build(data, ("sports/hockey", "texts"), SOUND, ledger, ("news", "results"))
    one = profile.published(built, keys, "http://10.0.0.1:8600", 5)
    assert one.record.document == (
        profile.published(built, keys, "http://10.0.0.1:8600", 5).record.document
    )
    read = Profile.decode(one.record.node, one.record.document)
    assert read.profile_hash == one.profile_hash
    assert (read.details.size, read.details.endpoint) == (120, "http://10.0.0.1:8600")
    for name in ("type", "size", "schema", "category 1", "labels"):
        proof = profile.disclosed(built, keys, name)
        attribute = Attribute(*(bytes.fromhex(proof[part]) for part in ("name", "value", "salt")))
        assert attribute.name == name32(name)
        siblings = [bytes.fromhex(one) for one in proof["proof"]]
        assert verify_attribute(read.details.tree.root, attribute, siblings)
    with pytest.raises(InvalidInput, match="the profile has type, size"):
        profile.disclosed(built, keys, "colour")


def test_a_table_shows_its_columns_and_a_noised_histogram_of_declared_labels(
    tmp_path: Path, ledger: Ledger, keys: AccountKeys
) -> None:
    rows = "".join(
        f"{3 * index},{index % 7}.5,{'worn' if index % 4 else 'new'}\n" for index in range(400)
    )
    (tmp_path / "own.csv").write_text("turbine_speed,vibration,label\n" + rows)
    data = read_data(tmp_path / "own.csv", unit="record")
    assert (data.type, data.columns) == ("table", ("turbine_speed", "vibration"))
    built = profile.build(data, ("machines",), SOUND, ledger, ("worn", "new"))
    assert built.release is not None
    signature = profile.published(built, keys, "", 0).record.signature
    assert weighted_jaccard(query_of_terms(["turbine", "vibration"]), signature) > 0.05
    assert built.signature is not None
    counts = Signature.decode(bytes.fromhex(built.signature))
    assert sorted(counts.weights)[-1] / sum(counts.weights) == pytest.approx(0.75, abs=0.03)


def test_undeclared_labels_are_not_published(
    tmp_path: Path, ledger: Ledger, keys: AccountKeys
) -> None:
    rows = "".join(f"{3 * index},{'worn' if index else 'secret'}\n" for index in range(99))
    (tmp_path / "own.csv").write_text("vibration,label\n" + rows)
    data = read_data(tmp_path / "own.csv", unit="record")
    built = profile.build(data, ("machines",), SOUND, ledger)
    assert (built.signature, built.release, built.labels) == (None, None, ())
    assert ledger.entries() == []
    assert profile.published(built, keys, "", 0).details.mode is PrivacyMode.SOUND
    with pytest.raises(RetrievalError, match="'secret'"):
        profile.build(data, ("machines",), SOUND, ledger, ("worn", "new"))


def test_images_and_regressions_have_profiles_too(tmp_path: Path, ledger: Ledger) -> None:
    generator = np.random.default_rng(1)
    x = generator.integers(0, 255, (100, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(100) % 10)
    data = read_data(tmp_path / "own.npz")
    assert data.type == "image"
    labels = tuple(map(str, range(10)))
    assert profile.build(data, ("images",), SOUND, ledger, labels).signature is not None
    (tmp_path / "own.csv").write_text(
        "a,wear\n" + "".join(f"{3 * n},{n % 7}.5\n" for n in range(60))
    )
    data = read_data(tmp_path / "own.csv", output_column="wear", unit="record")
    assert data.task == "regression"
    assert profile.build(data, ("machines",), SOUND, ledger).signature is None


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (["the of and"] * 60, RetrievalError, "common"),
        ([f"document {index}" for index in range(49)], RetrievalError, "49 units"),
        (["one hockey document"], RetrievalError, "1 units"),
    ],
)
def test_texts_that_say_nothing_or_too_little_are_refused(
    tmp_path: Path, ledger: Ledger, texts: list[str], error: type[Exception], message: str
) -> None:
    (tmp_path / "posts" / "a").mkdir(parents=True)
    for index, text in enumerate(texts):
        # More stop words, so that each is a record.
        (tmp_path / "posts" / "a" / str(index)).write_text(text + " of" * index)
    data = read_data(tmp_path / "posts")
    with pytest.raises(error, match=message):
        profile.build(data, ("a",), SOUND, ledger)
    assert ledger.entries() == []


def test_no_documents_and_no_category_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "posts" / "a").mkdir(parents=True)
    with pytest.raises(DataError):
        read_data(tmp_path / "posts")
    data = read_data(posts(tmp_path / "some"))
    with pytest.raises(InvalidInput, match="category"):
        profile.build(data, (), SOUND, ledger)


def test_a_document_of_ten_megabytes_and_one_that_is_not_utf8_are_taken(
    tmp_path: Path, ledger: Ledger
) -> None:
    folder = posts(tmp_path / "posts", 60)
    (folder / "news" / "large").write_text("hockey stadium referee " * 440_000)
    (folder / "news" / "latin").write_bytes(b"goalkeeper \xe9\xff penalty")
    data = read_data(folder)
    assert profile.build(data, ("a",), SOUND, ledger).size == 62


def test_one_more_record_moves_the_sum_by_at_most_what_the_noise_covers(
    tmp_path: Path, ledger: Ledger
) -> None:
    """The same draw of noise on two neighbouring data sets: entries move by at most the bound."""
    data = read_data(posts(tmp_path / "posts", 60))
    more = ProfileData(
        data.type, data.task, (*data.texts, "zebra " * 900), (*data.labels, "news"),
        (*data.units, b"z" * 32), data.shape, data.columns, 61,
    )  # fmt: skip
    one = profile.build(data, ("a",), SOUND, ledger, noise=SeededNoise(1))
    two = profile.build(more, ("a",), SOUND, ledger, noise=SeededNoise(1))
    found = [Signature.decode(bytes.fromhex(each.signature or "")) for each in (one, two)]
    assert weighted_jaccard(*found) > 0.9


def test_a_profile_file_is_its_owners_alone_and_survives_being_read(
    tmp_path: Path, ledger: Ledger
) -> None:
    data = read_data(posts(tmp_path / "posts"))
    built = profile.build(data, ("a",), SOUND, ledger)
    path = tmp_path / "state" / "profile.json"
    built.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert LocalProfile.read(path) == built
    path.write_bytes(b"{}")
    with pytest.raises(StateError, match="build it again"):
        LocalProfile.read(path)
    with pytest.raises(NotReady, match="profile build"):
        LocalProfile.read(tmp_path / "none.json")


def test_a_profile_publishes_the_declared_number_of_units(tmp_path: Path, ledger: Ledger) -> None:
    """The exact one would show that a record came or went."""
    for count in (120, 119):
        path = posts(tmp_path / str(count), count)
        schema = propose(path, "any").model_copy(update={"units": 150})
        data = profile.profile_data(DeclaredData.read(path, schema))
        assert profile.build(data, ("a",), SOUND, ledger).size == 150


def test_a_profile_of_records_that_are_not_served_is_charged_to_all_that_are(
    tmp_path: Path, ledger: Ledger, keys: AccountKeys
) -> None:
    """All units were charged, but of the data sets the first alone: what a data set may still spend
    counted less than its units had spent."""
    built = profile.build(
        read_data(posts(tmp_path / "posts", 400)), SOUND.categories, SOUND, ledger
    )
    built.write(profile_file(tmp_path / "state", keys.address))
    served = []
    for seed in (1, 2):
        path = posts(tmp_path / f"posts-{seed}", 60, seed)
        served.append(DeclaredData.read(path, propose(path, "any")))
    assert len({one.schema.data_id for one in served}) == 2
    records: list[Any] = [
        SimpleNamespace(records=SimpleNamespace(load=lambda of=one: of)) for one in served
    ]
    limit = PrivacyLimit(8.0, SOUND.delta)
    with Ledger(tmp_path / "older.sqlite", b"k" * 32) as older:
        restore(older, records, tmp_path / "state", keys.address)
        spent = [older.standing(limit, one.schema.data_id).spent.epsilon for one in served]
        assert spent[0] == spent[1] > 0
        assert spent[0] == pytest.approx(older.spent(SOUND.delta, served[1].units).epsilon)
