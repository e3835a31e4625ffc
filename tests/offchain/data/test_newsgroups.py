import os
from pathlib import Path

import numpy as np
import pytest

from fedpact.data.dataset import document_digest
from fedpact.data.newsgroups import TEST, TRAIN, body, newsgroups
from fedpact.errors import DataError

HERE = Path(os.environ.get("FEDPACT_DATA", "unset")) / "20newsgroups"
POST = """From: ann@example.org
Subject: Re: brakes

In article <1@example.org> bob writes:
> mine squeak
Grease the pads.

--
Ann, example.org
"""


def collection(root: Path, posts: dict[str, dict[str, bytes]]) -> Path:
    for part, groups in posts.items():
        for path, content in groups.items():
            file = root / part / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    return root


def test_a_body_has_neither_header_nor_quotes_nor_signature() -> None:
    assert body(POST) == "Grease the pads.\n"


def test_a_post_that_is_all_signature_keeps_its_text() -> None:
    assert body("Subject: x\n\nonly this") == "only this"


def test_posts_are_ordered_by_group_and_number_with_every_byte_readable(tmp_path: Path) -> None:
    root = collection(
        tmp_path,
        {
            TRAIN: {"b/10": b"ten", "b/9": b"nine \xfc\x00", "a/1": b"one"},
            TEST: {"a/2": b"two", "b/3": b"three"},
        },
    )
    source = newsgroups(root)
    assert source.labels == ("a", "b")
    assert source.train == ("one", "nine \u00fc\x00", "ten")
    np.testing.assert_array_equal(source.y_train, [0, 1, 1])
    assert source.units[0] == document_digest("one", "a")


def test_parts_of_other_groups_are_refused(tmp_path: Path) -> None:
    root = collection(tmp_path, {TRAIN: {"a/1": b"x"}, TEST: {"b/1": b"x"}})
    with pytest.raises(DataError, match="must have the same groups"):
        newsgroups(root)


def test_a_group_without_posts_is_an_empty_collection(tmp_path: Path) -> None:
    for part in (TRAIN, TEST):
        (tmp_path / part / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="no train texts"):
        newsgroups(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="20news-bydate-train"):
        newsgroups(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not HERE.is_dir(), reason="FEDPACT_DATA holds no 20newsgroups")
def test_the_archive_has_the_published_number_of_posts() -> None:
    source = newsgroups()
    assert (len(source.train), len(source.test), len(source.labels)) == (11_314, 7_532, 20)
