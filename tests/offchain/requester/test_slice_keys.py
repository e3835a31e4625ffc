"""Files of slice keys that are none are refused in one line, which shows no key."""

from pathlib import Path

import pytest

from fedpact.errors import InvalidInput
from fedpact.requester.slice_keys import SliceKeys, read_slice_keys, write_slice_keys

KEYS = SliceKeys("ab" * 32, 7, (b"k" * 32, b"l" * 32))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"request": 7', '"request": Infinity'),
        ('"request": 7', '"request": ' + "[" * 100_000),
        ("6b6b", "6bzz"),
        ('"keys"', '"locks"'),
    ],
)
def test_a_damaged_file_is_refused_and_shows_no_key(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "keys.json"
    write_slice_keys(KEYS, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))

    with pytest.raises(InvalidInput, match="holds no slice keys") as refused:
        read_slice_keys(path)
    assert "6b6b" not in str(refused.value)


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_slice_keys(KEYS, path)
    with pytest.raises(InvalidInput, match="cannot write"):
        write_slice_keys(KEYS, path)
    assert read_slice_keys(path) == KEYS
    assert path.stat().st_mode & 0o777 == 0o600
