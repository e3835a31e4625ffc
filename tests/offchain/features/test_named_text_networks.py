"""Networks of texts that a request names by their CID."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import DataError
from fedpact.features.networks import named, trial
from fedpact.features.networks.allowed import TextForm, checked_form
from fedpact.features.networks.named import NamedNetwork, keep, networks_folder
from fedpact.features.networks.sentences import sentence_features
from fedpact.features.networks.vocabulary import SPECIAL, VOCABULARY, Vocabulary
from tests.support.networks import TOKENS, WIDTH, WORDS, small_text_network, text_network

TEXTS = (
    "The Anchor, the reef: storms!",
    "",
    "\ud800 half a character, and zzqqxj",
    "falcon orbit " * 30,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(named.FOLDER_VARIABLE, str(tmp_path / "networks"))
    yield tmp_path / "networks"
    named._session.cache_clear()


def kept(content: bytes) -> NamedNetwork:
    """The network, put where `keep` puts it, without a trial run."""
    networks_folder().mkdir(exist_ok=True)
    store = EmbeddedStore(networks_folder())
    cid = store.put(content)
    digest = cid.digest.hex()
    (networks_folder() / f"{digest}.onnx").write_bytes(content)
    return NamedNetwork(cid, digest, TextForm(TOKENS, WIDTH))


def test_a_texts_row_is_what_the_network_gives_for_its_words() -> None:
    rows = sentence_features(TEXTS, named=kept(small_text_network())).astype(np.float64)
    table = np.random.default_rng(0).normal(0, 1, (len(WORDS), WIDTH))
    words = ["[CLS]", "the", "anchor", *["[UNK]"], "the", "reef", "[UNK]", "storm", "##s", "[UNK]"]
    mean = table[[WORDS.index(one) for one in (*words, "[SEP]")]].mean(axis=0)
    np.testing.assert_allclose(rows[0], mean / np.linalg.norm(mean), atol=2e-3)
    empty = table[[WORDS.index("[CLS]"), WORDS.index("[SEP]")]].mean(axis=0)
    np.testing.assert_allclose(rows[1], empty / np.linalg.norm(empty), atol=2e-3)


def test_a_row_has_the_same_bits_in_any_company_and_is_kept(tmp_path: Path) -> None:
    network = kept(small_text_network())
    rows = sentence_features(TEXTS, named=network)
    assert np.array_equal(sentence_features(TEXTS[2:3], named=network)[0], rows[2])
    assert np.array_equal(sentence_features(TEXTS, tmp_path / "rows", named=network), rows)
    longer = sentence_features(TEXTS, windows=3, named=network)
    assert np.array_equal(longer[:3], rows[:3])  # of one window
    other = sentence_features(TEXTS, tmp_path / "rows", named=kept(small_text_network(seed=1)))
    assert not np.array_equal(other, rows)


def test_a_text_on_which_a_network_overflows_counts_as_zero_and_changes_no_other() -> None:
    network = kept(small_text_network(factor=5e37))
    rows = sentence_features(["a storm", f"{WORDS[-1]} " * 20, "the reef"], named=network)
    assert not rows[1].any()
    assert rows[[0, 2]].any(axis=1).all()


def test_a_file_is_tried_in_a_process_of_its_own() -> None:
    form, digest = keep(small_text_network())
    assert form == TextForm(TOKENS, WIDTH)
    assert (networks_folder() / f"{digest}.onnx").is_file()


# ---------------------------------------------------------------------- hostile files


def changed(edit: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_model_from_string(small_text_network())
    edit(model)
    return model.SerializeToString()


def with_words(text: str) -> bytes:
    def edit(model: onnx.ModelProto) -> None:
        model.metadata_props[0].value = text

    return changed(edit)


def rows_by_computed_numbers(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Gather", ["c0", "mask"], ["taken"]))


def tokens_as_a_shape(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Reshape", ["mask", "tokens"], ["shaped"]))


def tokens_by_another_name(model: onnx.ModelProto) -> None:
    """Whole numbers that an operator passes on."""
    model.graph.node.insert(0, helper.make_node("Identity", ["tokens"], ["passed"]))
    model.graph.node[1].input[1] = "passed"


def another_axis(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("axis", 1))


def tokens_as_a_table(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "tokens"


def open_length(model: onnx.ModelProto) -> None:
    for one in model.graph.input:
        one.type.tensor_type.shape.dim[1].dim_param = "length"


def another_vocabulary(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key=VOCABULARY, value=Vocabulary((*WORDS, "more")).text())


HOSTILE = {
    "two vocabularies": (changed(another_vocabulary), "2 vocabularies"),
    "a table too short": (Vocabulary(WORDS).added_to(text_network(rows=9)), "9 rows for 38 words"),
    "no vocabulary": (text_network(), "must be a constant"),
    "another kind of vocabulary": (with_words("{}"), "cannot be read"),
    "numbers": (with_words('{"words":[1],"lowercase":true}'), "not words"),
    "half a character": (with_words('{"words":["\\ud800"],"lowercase":true}'), "half a character"),
    "a lacking word": (with_words(Vocabulary(SPECIAL[:3]).text()), r"lacks \[SEP\]"),
    "a word twice": (with_words(Vocabulary((*SPECIAL, "a", "a")).text()), "twice"),
    "rows by computed numbers": (changed(rows_by_computed_numbers), "must be a constant"),
    "tokens as a shape": (changed(tokens_as_a_shape), "must be a constant"),
    "tokens by another name": (changed(tokens_by_another_name), "must be a constant"),
    "another axis": (changed(another_axis), "must be a constant"),
    "tokens as a table": (changed(tokens_as_a_table), "must be a constant"),
    "an open length": (changed(open_length), "not known beforehand"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_the_reason(name: str) -> None:
    content, reason = HOSTILE[name]
    with pytest.raises(DataError, match=reason):
        checked_form(content)


def test_an_image_network_with_a_vocabulary_is_refused() -> None:
    model = onnx.load_model_from_string(small_text_network())
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = TOKENS + 1
    with pytest.raises(DataError, match=r"a mask|do not fit together"):
        checked_form(model.SerializeToString())
    assert VOCABULARY in {one.key for one in model.metadata_props}


def test_a_slow_network_of_texts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SECONDS_AN_EXAMPLE", 0.0)
    with pytest.raises(DataError, match="s a text: at most 0"):
        trial.run_trial(small_text_network())
