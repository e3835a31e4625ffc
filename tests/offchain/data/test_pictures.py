"""Folders and lists of PNG and JPEG images."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from fedpact.data.readers import read_records
from fedpact.errors import DataError

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
COLOUR = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def save(path: Path, values: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(values).save(path, **options)
    return path


def test_a_folder_of_images_a_class_is_numbers_and_not_texts(tmp_path: Path) -> None:
    """A folder of PNG files was read as texts."""
    save(tmp_path / "cat" / "1.png", GREY)
    save(tmp_path / "dog" / "2.PNG", GREY + 1)
    found = read_records(tmp_path)
    assert (found.kind, found.labels) == ("numbers", ("cat", "dog"))
    assert found.x.dtype == np.uint8
    assert found.x.tolist() == [GREY.tolist(), (GREY + 1).tolist()]


def test_channels_come_first_as_in_cifar(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "1.png", COLOUR)
    assert read_records(tmp_path).x.tolist() == [COLOUR.transpose(2, 0, 1).tolist()]


def test_a_photo_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    save(tmp_path / "cat" / "1.jpg", np.full((2, 3, 3), 7, np.uint8), exif=exif)
    assert read_records(tmp_path).x.shape == (1, 3, 3, 2)


def test_a_table_lists_images_with_their_labels_and_units(tmp_path: Path) -> None:
    save(tmp_path / "images" / "1.png", GREY)
    save(tmp_path / "images" / "2.png", GREY + 1)
    (tmp_path / "own.csv").write_text(
        "file_name,label,width,unit\nimages/2.png,dog,3,u\nimages/1.png,cat,3,u\n"
    )
    found = read_records(tmp_path / "own.csv")
    assert found.x[0].tolist() == (GREY + 1).tolist()
    assert (found.labels, found.groups, found.ignored) == (("dog", "cat"), ("u", "u"), ("width",))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("dog/2.png", np.zeros((3, 3), np.uint8), "3 by 3 grey, 1.png is of 3 by 2 grey"),
        ("dog/2.png", COLOUR, "colour, 1.png is of 3 by 2 grey"),
        ("dog/2.png", np.zeros((2, 3), np.uint16), "colours I;16"),
        ("dog/2.png", np.zeros((2, 3, 4), np.uint8), "transparent"),
        ("dog/2.png", b"\x89PNG\r\n\x1a\n cut", "damaged or cut short"),
        ("dog/notes.txt", b"a note", "neither PNG nor JPEG"),
        ("2.png", GREY, "beside the classes' folders"),
    ],
)
def test_an_image_of_another_kind_is_refused(
    tmp_path: Path, name: str, content: Any, said: str
) -> None:
    save(tmp_path / "cat" / "1.png", GREY)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content) if isinstance(content, bytes) else save(path, content)
    with pytest.raises(DataError, match=said) as caught:
        read_records(tmp_path)
    assert path.name in str(caught.value)


def test_a_list_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "1.png", GREY)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "own.csv").write_text("file,label\n../1.png,a\n")
    with pytest.raises(DataError, match="outside the list's folder"):
        read_records(tmp_path / "lists" / "own.csv")


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"RIFF....WAVE", b"PK\x03\x04"])
def test_a_file_that_is_no_text_is_not_read_as_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_bytes(content)
    with pytest.raises(DataError, match="not a plain text"):
        read_records(tmp_path)


def test_a_text_in_utf_16_is_read_as_such(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.txt").write_text("a tide", encoding="utf-16")
    assert read_records(tmp_path).x.tolist() == ["a tide"]
