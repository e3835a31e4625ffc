"""Text that somebody else wrote, as it may be shown."""

from unicodedata import category


def plain(text: str) -> str:
    """Foreign text, with a mark in place of each character that is not seen or that turns the
    direction of what follows; a page isolates it besides (<bdi>)."""
    return "".join("\ufffd" if _unseen(one) else one for one in text)


def _unseen(one: str) -> bool:
    turns = (
        one in "\u061c\u200e\u200f" or "\u202a" <= one <= "\u202e" or "\u2066" <= one <= "\u2069"
    )
    return turns or (category(one) in ("Cc", "Cs") and one not in "\n\t")
