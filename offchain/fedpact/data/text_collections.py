"""Text collections by name."""

from collections.abc import Callable

from fedpact.data.newsgroups import newsgroups
from fedpact.data.reuters import r8
from fedpact.data.texts import TextSource

COLLECTIONS: dict[str, Callable[[], TextSource]] = {
    "20newsgroups": newsgroups,
    "20newsgroups-bodies": lambda: newsgroups(headers=False),
    "r8": r8,
}
