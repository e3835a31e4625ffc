"""What documents a simulated population is made of."""

from enum import StrEnum


class DocumentSource(StrEnum):
    """What documents a population is made of."""

    COLLECTIONS = "20newsgroups+reuters21578"
    SYNTHETIC = "synthetic"
