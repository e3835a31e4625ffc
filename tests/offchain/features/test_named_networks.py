"""Networks that a request names by their CID: what a file may be, what hostile files cannot do."""

import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.errors import DataError, DataMissing
from fedpact.features.networks import named, trial
from fedpact.features.networks.allowed import ImageForm, checked_form
from fedpact.features.networks.efficientnet import with_weights
from fedpact.features.networks.images import image_features
from fedpact.features.networks.named import NamedNetwork, keep, networks_folder
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0
from fedpact.types.cid import Cid
from tests.support.networks import SIDE, WIDTH, small_network

PHOTOS = np.random.default_rng(0).random((5, 3, 8, 8), dtype=np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(named.FOLDER_VARIABLE, str(tmp_path / "networks"))
    yield tmp_path / "networks"
    named._session.cache_clear()


def in_store(content: bytes, store: EmbeddedStore, **form: int) -> NamedNetwork:
    asked = ImageForm(**{"side": SIDE, "width": WIDTH, **form})
    return NamedNetwork(store.put(content), sha256(content).hexdigest(), asked)


def test_a_named_network_is_fetched_once_and_gives_rows_of_norm_one(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store")
    network = in_store(small_network(), store)
    network.obtain(store)
    rows = image_features(PHOTOS, SIDE, mirrored=True, named=network)
    assert rows.shape == (5, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(rows.astype(float), axis=1), 1, atol=1e-3)
    assert (rows < 0).any()  # signs are kept
    alone = image_features(PHOTOS[3:4], SIDE, mirrored=True, named=network)
    assert np.array_equal(alone[0], rows[3])
    cached = image_features(PHOTOS, SIDE, mirrored=True, folder=tmp_path / "rows", named=network)
    assert np.array_equal(cached, rows)
    network.obtain(EmbeddedStore(tmp_path / "nothing"))  # it is here already


def test_another_file_than_the_named_one_is_refused(tmp_path: Path, folder: Path) -> None:
    store, other = EmbeddedStore(tmp_path / "store"), small_network(seed=1)
    network = in_store(small_network(), store)
    wrong = NamedNetwork(store.put(other), network.digest, network.form)
    with pytest.raises(DataError, match=f"not {network.digest} as named"):
        wrong.obtain(store)
    assert not network.path.exists()
    for form in ({"width": WIDTH + 1}, {"side": 2 * SIDE}):
        with pytest.raises(DataError, match="named with"):
            in_store(small_network(seed=2), store, **form).obtain(store)
    network.path.parent.mkdir(exist_ok=True)
    network.path.write_bytes(other)
    with pytest.raises(DataError, match="has sha-256"):
        image_features(PHOTOS, SIDE, mirrored=False, named=network)


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    network = in_store(small_network(), EmbeddedStore(tmp_path / "store"))
    with pytest.raises(DataMissing, match=f"fedpact network fetch {network.cid}"):
        image_features(PHOTOS, SIDE, mirrored=False, named=network)


def test_an_image_on_which_a_network_overflows_counts_as_zero_and_changes_no_other() -> None:
    content = small_network(factor=1e38)
    form, digest = keep(content)
    network = NamedNetwork(EmbeddedStore(networks_folder()).put(content), digest, form)
    photos = PHOTOS * np.float32(1e-3)
    usual = image_features(photos, SIDE, mirrored=False, named=network)
    assert usual.any(axis=1).all()
    bright = photos.copy()
    bright[2] = 1e6
    found = image_features(bright, SIDE, mirrored=False, named=network)
    assert not found[2].any()
    assert np.array_equal(np.delete(found, 2, axis=0), np.delete(usual, 2, axis=0))


# ---------------------------------------------------------------------- hostile files


def changed(edit: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_model_from_string(small_network())
    edit(model)
    return model.SerializeToString()


def add_first(operator: str, **attributes: object) -> Callable[[onnx.ModelProto], None]:
    """Put an operator between the image and the first layer."""

    def edit(model: onnx.ModelProto) -> None:
        domain = str(attributes.pop("domain", ""))
        node = helper.make_node(operator, ["image"], ["first"], domain=domain, **attributes)
        model.graph.node[0].input[0] = "first"
        model.graph.node.insert(0, node)

    return edit


def reads_a_file(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def computed_shape(model: onnx.ModelProto) -> None:
    """Reshape by numbers that come from the image."""
    graph = model.graph
    graph.node.extend(
        [
            helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.INT64),
            helper.make_node("Reshape", [graph.output[0].name, "numbers"], ["shaped"]),
        ]
    )


def computed_rows(model: onnx.ModelProto) -> None:
    graph = model.graph
    graph.node.append(helper.make_node("Gather", [graph.output[0].name, "image"], ["taken"]))


def a_loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["looped"], body=body))


def open_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "any"


def huge(model: onnx.ModelProto) -> None:
    pads = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 9_000, 9_000], np.int64), "pads")
    model.graph.initializer.append(pads)
    model.graph.node.append(helper.make_node("Pad", ["image", "pads"], ["padded"]))


def shadowed_constant(model: onnx.ModelProto) -> None:
    """A shape that looks like a constant, and is computed."""
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([1, -1], np.int64), "form"))
    graph.node.append(helper.make_node("Relu", ["image"], ["form"]))
    graph.node.append(helper.make_node("Reshape", [graph.output[0].name, "form"], ["shaped"]))


def a_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("own", "f", [], [], [], []))


HOSTILE = {
    "no network": (b"\x80\x04\x95 a pickle", "not an ONNX file|its shapes|takes 0"),
    "another file": (changed(reads_a_file), "in another file"),
    "custom code": (changed(add_first("Steal", domain="com.evil")), "operators of|com.evil.Steal"),
    "microsoft's operators": (changed(add_first("Gelu", domain="com.microsoft")), "not allowed"),
    "random numbers": (changed(add_first("RandomNormalLike")), "RandomNormalLike is not allowed"),
    "training": (changed(add_first("Dropout")), "Dropout is not allowed"),
    "whole numbers": (changed(computed_shape), "Cast is not allowed"),
    "computed rows": (changed(computed_rows), "must be a constant"),
    "a loop": (changed(a_loop), "Loop is not allowed"),
    "an open shape": (changed(open_shape), "not known beforehand"),
    "a huge value": (changed(huge), "too large"),
    "a constant that is computed": (changed(shadowed_constant), "two values"),
    "a function": (changed(a_function), "functions"),
    "too wide a row": (small_network(width=5_000), "gives"),
    "an old operator set": (changed(lambda m: setattr(m.opset_import[0], "version", 5)), "version"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_the_reason(name: str) -> None:
    content, reason = HOSTILE[name]
    with pytest.raises(DataError, match=reason):
        checked_form(content)


def test_a_refused_file_is_not_kept(folder: Path) -> None:
    with pytest.raises(DataError, match="in another file"):
        keep(HOSTILE["another file"][0])
    assert not any(folder.iterdir())


def test_a_slow_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SECONDS_AN_EXAMPLE", 0.0)
    with pytest.raises(DataError, match="s an image: at most 0"):
        trial.run_trial(small_network())
    monkeypatch.setattr(trial, "WALL_SECONDS", 0.01)
    path = tmp_path / "slow.onnx"
    path.write_bytes(small_network())
    with pytest.raises(DataError, match="took over"):
        trial.tried(path)


def test_whatever_ends_the_trial_ends_no_more_than_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the process has no room for its libraries."""
    real = subprocess.run

    def cramped(command: list[str], **options: object) -> object:
        return real(["prlimit", "--as=100000000", *command], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(trial.subprocess, "run", cramped)
    path = tmp_path / "network.onnx"
    path.write_bytes(small_network())
    with pytest.raises(DataError, match=r"does not run|ended with code"):
        trial.tried(path)


def test_weights_in_safetensors_make_the_known_network() -> None:
    known = {name: np.ascontiguousarray(one) for name, one in EFFICIENTNET_LITE0.load().items()}
    form, digest = keep(with_weights(save(known), SIDE))
    network = NamedNetwork(Cid.of_digest(bytes(32), 1), digest, form)
    rows = image_features(PHOTOS, SIDE, mirrored=False, named=network)
    # Images are scaled in a graph of their own here.
    np.testing.assert_allclose(rows, image_features(PHOTOS, SIDE, mirrored=False), atol=2e-3)
    lacking = dict(list(known.items())[:-9])
    for content in (b"no weights", save(lacking), save({"_conv_stem.weight": np.zeros(3)})):
        with pytest.raises(DataError, match="weights: not"):
            with_weights(content, SIDE)
