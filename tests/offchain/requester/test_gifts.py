"""A file with the key of a result, as somebody else may have written it."""

import json
from pathlib import Path

import pytest

from fedpact.errors import InvalidInput
from fedpact.requester.gifts import Gift, read_gift

GIFT = {"format": "fedpact-gift-1", "deployment": "ab", "request": 3, "key": "00" * 32}


def test_a_gift_is_read_and_its_key_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "gift.json"
    file.write_text(json.dumps(GIFT))
    assert read_gift(file) == Gift("ab", 3, bytes(32))
    assert repr(read_gift(file)) == "Gift(request=3)"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        json.dumps({**GIFT, "key": "zz"}),
        json.dumps({**GIFT, "request": None}),
        json.dumps({**GIFT, "request": float("inf")}),
        "[" * 200_000,
    ],
    ids=["empty", "list", "no key", "no request", "infinite", "deep"],
)
def test_a_file_that_is_no_gift_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    """An infinite number and deep lists ended with a trace."""
    file = tmp_path / "gift.json"
    file.write_text(content)
    with pytest.raises(InvalidInput, match=r"gift\.json holds no gift"):
        read_gift(file)
