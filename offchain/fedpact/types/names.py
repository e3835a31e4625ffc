"""When two names of a label or a category are the same one."""

import re
import unicodedata

_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def label_key(name: str) -> str:
    """What all spellings of a label share: Unicode NFKC without white space at the ends; `3.0`, as
    a table of floats writes it, is `3`; `True` and `TRUE`, as in pandas and Excel, are `true`."""
    text = unicodedata.normalize("NFKC", name).strip()
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return whole[1]
    return text.casefold() if text.casefold() in ("true", "false") else text
