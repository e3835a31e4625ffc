"""Frozen public networks, with their real weights: the same values as in torch, one example at a
time, nothing but the pinned file."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from fedpact.errors import DataError, DataMissing
from fedpact.features.networks import images, pinned, sentences
from fedpact.features.networks.efficientnet import efficientnet_lite0
from fedpact.features.networks.graph import FrozenGraph
from fedpact.features.networks.images import check_shape, image_features
from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM, check_pinned
from fedpact.features.networks.sentences import sentence_features
from fedpact.features.networks.session import FrozenSession, on_all_cores

SIDE = 64
PHOTOS = np.random.default_rng(0).random((5, 3, 32, 32), dtype=np.float32)
TEXTS = (
    "The engine has new brakes.",
    "",
    "\ud800 half a character, then a word that no list has: zzqqxj",
    "A rocket in orbit. " * 400,
)


def of_torch(photos: np.ndarray) -> np.ndarray:
    network = EfficientNet.from_name("efficientnet-lite0", image_size=SIDE)
    state = {name: torch.tensor(values) for name, values in EFFICIENTNET_LITE0.load().items()}
    network.load_state_dict(state)
    with torch.inference_mode():
        pixels = (torch.from_numpy(photos) * 255 - 127) / 128
        scaled = nn.functional.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear")
        return network.eval().extract_features(scaled).mean((2, 3)).numpy()


def test_the_image_network_gives_what_it_gives_in_torch() -> None:
    session = FrozenSession(efficientnet_lite0(EFFICIENTNET_LITE0.load(), (3, 32, 32), SIDE))
    found = np.stack([session.run(photo[None]) for photo in PHOTOS])
    np.testing.assert_allclose(found, of_torch(PHOTOS), atol=1e-4)


def test_rows_are_roots_of_norm_one_and_mirror_images_may_share_them() -> None:
    rows = image_features(PHOTOS, SIDE, mirrored=True)
    whole = (of_torch(PHOTOS) + of_torch(PHOTOS[..., ::-1].copy())) / 2
    expected = np.sqrt(whole / whole.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(rows.astype(np.float64), expected, atol=1e-3)
    other = image_features(PHOTOS[..., ::-1].copy(), SIDE, mirrored=True)
    assert np.array_equal(rows, other)
    assert not np.array_equal(rows, image_features(PHOTOS, SIDE, mirrored=False))


def test_an_images_row_has_the_same_bits_in_any_company() -> None:
    together = image_features(PHOTOS, SIDE, mirrored=False)
    for number in (0, 4):
        assert np.array_equal(
            image_features(PHOTOS[number, None], SIDE, mirrored=False)[0], together[number]
        )
    grey = image_features(PHOTOS[:1, 0], SIDE, mirrored=False)
    assert np.array_equal(
        grey, image_features(np.repeat(PHOTOS[:1, :1], 3, axis=1), SIDE, mirrored=False)
    )


def test_an_image_that_overflows_has_a_row_of_zeros() -> None:
    huge = np.full((1, 3, 32, 32), 3e38, np.float32)
    assert not image_features(huge, SIDE, mirrored=True).any()


def test_rows_are_kept_and_an_interrupted_computation_goes_on(tmp_path: Path) -> None:
    photos = np.random.default_rng(1).random((40, 8, 8), dtype=np.float32)
    rows = image_features(photos, 32, mirrored=False, folder=tmp_path)
    (kept,) = tmp_path.glob("*.npy")
    begun = kept.read_bytes()[: -8 * images.WIDTH * 2]  # the second batch is missing
    kept.with_suffix(".part").write_bytes(begun)
    kept.unlink()
    again = image_features(photos, 32, mirrored=False, folder=tmp_path)
    assert np.array_equal(again, rows)
    image_features(photos, 32, mirrored=True, folder=tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 2


@pytest.mark.parametrize("shape", [(10,), (2, 8, 8), (3, 8, 2000), (1, 3, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="takes images"):
        check_shape(shape)


def test_the_sentence_network_gives_what_it_gives_in_torch() -> None:
    rows = sentence_features(TEXTS).astype(np.float64)
    state = {name: torch.tensor(values) for name, values in MINILM.load().items()}
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)
    for text, row in zip(TEXTS, rows, strict=True):
        mean = encoded(state, text).mean(dim=1)[0].numpy()
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-3)
    assert np.array_equal(sentence_features(TEXTS[2:3])[0], sentence_features(TEXTS)[2])


def test_windows_of_a_long_text_count_by_their_tokens(tmp_path: Path) -> None:
    ones, twos = sentence_features(TEXTS), sentence_features(TEXTS, windows=2)
    assert np.array_equal(ones[:3], twos[:3])  # of one window
    network, tokenizer = sentences._network(), sentences._tokenizer()
    first = tokenizer.encode(TEXTS[3])
    assert len(first.ids) == len(first.overflowing[0].ids) == sentences.TOKENS
    both = [np.array([one.ids], np.int64) for one in (first, first.overflowing[0])]
    mean = sum(network.run(tokens).astype(np.float64) for tokens in both)
    np.testing.assert_allclose(twos[3], mean / np.linalg.norm(mean), atol=1e-3)
    assert not np.array_equal(ones[3], twos[3])
    kept = sentence_features(TEXTS, tmp_path, windows=2)
    assert np.array_equal(kept, twos)
    assert np.array_equal(sentence_features(TEXTS, tmp_path), ones)  # in a file of their own


def encoded(state: dict[str, torch.Tensor], text: str) -> torch.Tensor:
    """The last layer's tokens, (1, n, width), by torch's own encoder."""
    ids = sentences._tokenizer().encode(text.encode("utf-8", "replace").decode()).ids
    assert len(ids) <= sentences.TOKENS
    x = state["embeddings.word_embeddings.weight"][ids]
    x = x + state["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + state["embeddings.token_type_embeddings.weight"][0]
    with torch.inference_mode():
        width = x.shape[1]
        x = nn.functional.layer_norm(
            x[None],
            (width,),
            state["embeddings.LayerNorm.weight"],
            state["embeddings.LayerNorm.bias"],
            1e-12,
        )
        for number in range(6):
            x = layer(state, f"encoder.layer.{number}", width)(x)
    return x


def layer(state: dict[str, torch.Tensor], name: str, width: int) -> nn.Module:
    made = nn.TransformerEncoderLayer(
        width, 12, 4 * width, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    )
    attention = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    renamed = {
        "self_attn.out_proj": f"{name}.attention.output.dense",
        "linear1": f"{name}.intermediate.dense",
        "linear2": f"{name}.output.dense",
        "norm1": f"{name}.attention.output.LayerNorm",
        "norm2": f"{name}.output.LayerNorm",
    }
    made.load_state_dict(
        {
            f"self_attn.in_proj_{kind}": torch.cat([state[f"{one}.{kind}"] for one in attention])
            for kind in ("weight", "bias")
        }
        | {
            f"{new}.{kind}": state[f"{old}.{kind}"]
            for new, old in renamed.items()
            for kind in ("weight", "bias")
        }
    )
    return made.eval()


def test_weights_other_than_the_pinned_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned.PinnedNetwork, "folder", lambda _: tmp_path)
    with pytest.raises(DataError, match="has no weights"):
        EFFICIENTNET_LITE0.load()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"other weights")
    with pytest.raises(DataError, match=r"efficientnet-lite0: .* have sha-256"):
        EFFICIENTNET_LITE0.load()
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("model.safetensors", b"other weights")
    with pytest.raises(DataError, match=r"all-minilm-l6-v2: .* have sha-256"):
        MINILM.load()


def test_a_network_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "find_spec", lambda _: None)
    with pytest.raises(DataMissing, match=r"fedpact\[sentences\]"):
        check_pinned(MINILM, MINILM.name, MINILM.digest)


def test_subnormal_numbers_count_as_zero_in_the_networks_threads_alone() -> None:
    """They are slower to add, which would reveal the example that has them."""
    graph = FrozenGraph()
    sum_of = graph.add("ReduceSum", "x", graph.constant(np.array([1])), keepdims=1)
    session = FrozenSession(graph.model({"x": (1, [1, 64])}, sum_of, 1))
    tiny = np.full((1, 64), 1e-42, np.float32)
    (found,) = on_all_cores(session.run, [tiny])
    assert found == 0
    assert session.run(tiny) > 0
