"""Small generated texts: each label has words of its own and shares others."""

import numpy as np

from fedpact.data.dataset import Dataset, document_digest
from fedpact.data.documents import documents

LABELS = ("sea", "sky", "land")
WORDS = {
    "sea": ("harbour", "anchor", "sailor", "tide", "lobster", "schooner", "reef", "mast"),
    "sky": ("comet", "cloud", "falcon", "thunder", "orbit", "glider", "meteor", "horizon"),
    "land": ("meadow", "tractor", "orchard", "badger", "gravel", "barley", "canyon", "hedge"),
}
SHARED = ("storm", "map", "north", "light", "travel", "morning", "the", "and", "of")


def text(label: str, generator: np.random.Generator) -> str:
    """A few dozen words; two thirds are the label's own."""
    own, shared = generator.choice(WORDS[label], 8), generator.choice(SHARED, 6)
    return " ".join(generator.permutation(np.concatenate([own, shared])))


def texts(number: int, seed: int) -> tuple[list[str], list[str]]:
    """`number` documents and their labels, all labels equally often."""
    generator = np.random.default_rng(seed)
    names = [LABELS[index % len(LABELS)] for index in range(number)]
    return [text(name, generator) for name in names], names


def text_dataset(number: int, seed: int, labels: tuple[str, ...] = LABELS) -> Dataset:
    """Documents of these labels only; targets are indices into LABELS."""
    found, names = texts(number * len(LABELS), seed)
    kept = [index for index, name in enumerate(names) if name in labels][:number]
    return Dataset(
        documents([found[index] for index in kept]),
        np.array([LABELS.index(names[index]) for index in kept]),
        tuple(document_digest(found[index], names[index]) for index in kept),
    )
