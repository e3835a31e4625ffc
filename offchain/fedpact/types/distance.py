"""How a search ranks the providers that it found."""

from enum import StrEnum


class Distance(StrEnum):
    """By what the found providers are ranked."""

    JACCARD = "jaccard"
    """Likeness of data alone."""
    PAPER = "paper"
    """Lu et al. 2020, equation 1: the data's distance times the log of the round trip to the
    provider's daemon, in milliseconds."""
