"""PNG and JPEG images, by Pillow (extra `formats`): a folder of them a class, or a table's list."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedpact.data.readers.records import Records, refuse
from fedpact.data.readers.table import Table

SUFFIXES = (".png", ".jpg", ".jpeg")
FILE_COLUMNS = ("file", "file_name", "filename", "image", "image_path", "path")
"""Columns in which a table lists images, relative to its own folder."""


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def has_pictures(folder: Path) -> bool:
    """Whether an image is in the folder, or in one of its folders."""
    return any(map(is_picture, _visible(folder))) or any(
        is_picture(file) for one in _visible(folder) if one.is_dir() for file in _visible(one)
    )


def read_pictures(folder: Path) -> Records:
    """Images ordered by class and file name, bytes of shape (n, rows, columns) for grey ones and
    (n, 3, rows, columns) for coloured ones; hidden files are skipped.

    Raises DataError for a file that is no PNG or JPEG, and for images of different sizes or kinds.
    """
    files: list[Path] = []
    labels: list[str] = []
    for one in _visible(folder):
        if not one.is_dir():
            refuse(
                one,
                "a file beside the classes' folders: each image belongs in a folder that "
                "is named after its class",
            )
        for file in _visible(one):
            if not is_picture(file):
                refuse(file, "neither PNG nor JPEG: move it out of the folder of images")
            files.append(file)
            labels.append(one.name)
    return Records("images", _images(files), tuple(labels))


def read_unlabelled(folder: Path) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Names and images, as `read_pictures` gives them, of a folder of nothing but images. Raises
    DataError as it does."""
    files = _visible(folder)
    for file in files:
        if not is_picture(file):
            refuse(file, "neither PNG nor JPEG: move it out of the folder of images")
    return tuple(file.name for file in files), _images(files)


def listed_column(table: Table) -> str | None:
    """The column in which a table lists images; None if there is none."""
    for name in table.header:
        cells = table.cells(name)
        if name.casefold() in FILE_COLUMNS and cells and all(is_picture(Path(c)) for c in cells):
            return name
    return None


def read_listed(
    table: Table, column: str, label_column: str | None, unit_column: str | None
) -> Records:
    """The images that a table lists, with its labels and units. Raises DataError as above, and for
    a path that leads out of the table's folder."""
    root = table.path.parent.resolve()
    files = []
    for example, cell in enumerate(table.cells(column), start=1):
        file = (root / cell.strip()).resolve()
        if not file.is_relative_to(root):
            refuse(table.path, f"example {example}: its file is outside the list's folder")
        if not file.is_file():
            refuse(table.path, f"example {example}: its file {cell.strip()!r} does not exist")
        files.append(file)
    named = None if label_column is None else tuple(c.strip() for c in table.cells(label_column))
    _require_one_label(table.path, files, named or ())
    units: tuple[str, ...] = ()
    if unit_column is not None and unit_column in table.header:
        units = tuple(cell.strip() for cell in table.cells(unit_column))
        if "" in units:
            refuse(table.path, f"example {units.index('') + 1} has an empty {unit_column!r}")
    used = {column, label_column, unit_column, table.index}
    return Records(
        "images",
        _images(files),
        named or ("",) * len(files),
        groups=units,
        grouped_units=bool(units),
        ignored=tuple(name for name in table.header if name not in used),
    )


def _require_one_label(path: Path, files: Sequence[Path], labels: Sequence[str]) -> None:
    """A list of boxes names an image once a box; here an example is a whole image."""
    first: dict[Path, int] = {}
    for place, (file, label) in enumerate(zip(files, labels, strict=False)):
        before = first.setdefault(file, place)
        if labels[before] != label:
            refuse(
                path,
                f"examples {before + 1} and {place + 1} are one image with different labels: boxes "
                "are not read; list each image once, or cut the boxes out",
            )


def _images(files: Sequence[Path]) -> NDArray[np.uint8]:
    if not files:
        return np.zeros((0, 1), dtype=np.uint8)
    try:
        import PIL.Image
    except ImportError as error:
        refuse(files[0], "reading images needs Pillow: pip install 'fedpact[formats]'", error)
    first = _image(files[0], PIL.Image)
    found = np.empty((len(files), *first.shape), dtype=np.uint8)
    for place, file in enumerate(files):
        image = _image(file, PIL.Image)
        if image.shape != first.shape:
            refuse(
                file,
                f"an image of {_size(image)}, {files[0].name} is of {_size(first)}: all must have "
                "one size, and be either grey or coloured",
            )
        found[place] = image
    return found


def _image(file: Path, pillow: Any) -> NDArray[np.uint8]:
    """Turned as its camera says."""
    from PIL import ImageOps

    try:
        with pillow.open(file, formats=("PNG", "JPEG")) as image:
            if getattr(image, "n_frames", 1) > 1:
                refuse(file, "several images in one file: save each in its own")
            turned = ImageOps.exif_transpose(image)
            if turned.mode in ("P", "PA") or "transparency" in turned.info:
                turned = turned.convert("RGBA")
            if turned.mode in ("RGBA", "LA"):
                if turned.getchannel("A").getextrema() != (255, 255):
                    refuse(file, "transparent: save it without transparency")
                turned = turned.convert("RGB" if turned.mode == "RGBA" else "L")
            if turned.mode == "1":
                turned = turned.convert("L")
            if turned.mode not in ("L", "RGB"):
                refuse(file, f"colours {turned.mode}: save it with 8 bits, grey or RGB")
            values = np.asarray(turned)
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        refuse(file, "no PNG or JPEG, too large, damaged or cut short", error)
    return values if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[-1]} by {image.shape[-2]} {'grey' if image.ndim == 2 else 'colour'}"


def _visible(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if not one.name.startswith("."))
