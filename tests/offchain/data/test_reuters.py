import os
from collections import Counter
from pathlib import Path

import pytest

from fedpact.data.reuters import parse, r8, stories
from fedpact.errors import DataError

HERE = Path(os.environ.get("FEDPACT_DATA", "unset")) / "reuters21578"
HEAD = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n'


def story(
    number: int, topics: str, *, split: str = "TRAIN", used: str = "YES", text: str = ""
) -> str:
    given = text or f"<TITLE>NEWS {number}</TITLE><BODY>AT&amp;T said &lt;T> \xfc</BODY>"
    return (
        f'<REUTERS TOPICS="{used}" LEWISSPLIT="{split}" NEWID="{number}">\n'
        f"<TOPICS>{topics}</TOPICS><PLACES><D>usa</D></PLACES>\n<TEXT>{given}</TEXT>\n</REUTERS>\n"
    )


def archive(folder: Path, *one: str) -> Path:
    (folder / "reut2-000.sgm").write_bytes((HEAD + "".join(one)).encode("latin-1"))
    return folder


def test_title_and_body_are_the_text_with_entities_resolved() -> None:
    (found,) = parse(HEAD + story(7, "<D>earn</D>"), "here")
    assert (found.number, found.split, found.topics) == (7, "train", ("earn",))
    assert found.text == "NEWS 7\nAT&T said <T> \xfc"


def test_a_story_without_parts_is_read_whole() -> None:
    (found,) = parse(story(7, "", text="<AUTHOR>me</AUTHOR> plain"), "here")
    assert found.text == " me  plain"


@pytest.mark.parametrize(
    ("used", "split", "part"),
    [
        ("YES", "TRAIN", "train"),
        ("YES", "TEST", "test"),
        ("YES", "NOT-USED", "unused"),
        ("NO", "TRAIN", "unused"),
        ("BYPASS", "TEST", "unused"),
    ],
)
def test_the_split_is_modapte(used: str, split: str, part: str) -> None:
    (found,) = parse(story(1, "<D>earn</D>", used=used, split=split), "here")
    assert found.split == part


def test_r8_has_the_stories_with_exactly_one_of_the_eight_topics(tmp_path: Path) -> None:
    folder = archive(
        tmp_path,
        story(1, "<D>earn</D>"),
        story(2, "<D>earn</D><D>acq</D>"),
        story(3, "<D>sugar</D>"),
        story(4, "<D>ship</D>", split="TEST"),
        story(5, "<D>grain</D>", used="NO"),
    )
    source = r8(folder)
    assert [source.labels[one] for one in source.y_train] == ["earn"]
    assert [source.labels[one] for one in source.y_test] == ["ship"]


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    whole = story(1, "<D>earn</D>") + story(2, "<D>acq</D>")
    with pytest.raises(DataError, match="only 1 of 2 stories can be read"):
        list(stories(archive(tmp_path, whole[:-20])))


def test_a_story_without_a_text_is_named() -> None:
    with pytest.raises(DataError, match="story 3 has no TOPICS or no TEXT"):
        list(parse(story(3, "").replace("TEXT>", "TEXTS>"), "here"))


def test_a_folder_without_stories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no reut2-\*\.sgm"):
        list(stories(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(not HERE.is_dir(), reason="FEDPACT_DATA holds no reuters21578")
def test_the_archive_has_the_published_number_of_stories() -> None:
    parts = Counter(one.split for one in stories())
    assert parts == {"train": 9_603, "test": 3_299, "unused": 8_676}
    source = r8()
    assert (len(source.train), len(source.test)) == (5_485, 2_189)
