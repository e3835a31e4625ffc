"""The bytes of a text file, unpacked and decoded."""

import codecs
import gzip
import re
import zlib
from pathlib import Path

from fedpact.data.readers.records import read_bytes, refuse

PACKED = (".gz", ".zst")
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""With the encoding that takes the mark off; UTF-32 first, since it begins as UTF-16 does."""
_WESTERN = "cp1252"
_FOREIGN = re.compile(
    "[À-ÿŠŽšžŒœŸƒ]{3}|[¹³¶¥¤¦¨\u00b4\u00b8¯¼¾][a-zà-ÿ]|[A-Za-zÀ-ÿ][¿¡][A-Za-zÀ-ÿ]"
)
"""What Cyrillic, Greek and Eastern European encodings look like in Windows-1252."""


def unpacked(path: Path) -> bytes:
    """The file's bytes, without gzip or Zstandard. Raises DataError for a damaged file."""
    data = read_bytes(path)
    if path.suffix == ".gz":
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            refuse(path, f"damaged or cut short: it cannot be unpacked ({error})", error)
    if path.suffix == ".zst":
        try:
            import pyarrow
        except ImportError as error:
            refuse(path, "unpacking it needs pyarrow: pip install 'fedpact[formats]'", error)
        try:
            with pyarrow.input_stream(pyarrow.py_buffer(data), compression="zstd") as stream:
                return bytes(stream.read())
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            refuse(path, f"damaged or cut short: it cannot be unpacked ({error})", error)
    return data


def text_of(path: Path, data: bytes, encoding: str) -> str:
    """`data` in a declared encoding. Raises DataError naming the first byte that it does not have.

    A byte-order mark is taken off."""
    try:
        text = data.decode(encoding)
    except LookupError as error:
        refuse(path, f"encoding {encoding!r} is unknown: use utf-8, utf-16, cp1252, ...", error)
    except UnicodeDecodeError as error:
        refuse(path, f"byte {error.start + 1} is not {encoding}: declare its encoding", error)
    return _checked(path, text.removeprefix("\ufeff"))


def detected(path: Path, data: bytes) -> tuple[str, str]:
    """(text, encoding) by byte-order mark, UTF-8, UTF-16 by its zero bytes, or Windows-1252, which
    contains Latin-1's characters. Raises DataError for bytes that look like another encoding."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return text_of(path, data, encoding), encoding
    sample = data[:4096]
    for encoding, zeros, others in (
        ("utf-16-le", sample[1::2], sample[::2]),
        ("utf-16-be", sample[::2], sample[1::2]),
    ):
        if len(zeros) > 1 and zeros.count(0) > 0.7 * len(zeros) and others.count(0) == 0:
            return text_of(path, data, encoding), encoding
    try:
        return _checked(path, data.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        return _western(path, data), _WESTERN


def _western(path: Path, data: bytes) -> str:
    from charset_normalizer import from_bytes

    advice = "save it as UTF-8, or declare its encoding in the schema's [file]"
    try:
        text = data.decode(_WESTERN)
    except UnicodeDecodeError as error:
        refuse(path, f"byte {error.start + 1} is neither UTF-8 nor Windows-1252: {advice}", error)
    if _FOREIGN.search(text):
        best = from_bytes(data).best()
        guess = "" if best is None else f", perhaps {best.encoding}"
        refuse(path, f"neither UTF-8 nor Windows-1252{guess}: {advice}")
    return _checked(path, text)


def _checked(path: Path, text: str) -> str:
    """Raises DataError for a NUL character in the first line. A document may hold one."""
    if "\0" in text.partition("\n")[0]:
        refuse(path, "line 1 has a NUL character: damaged, or another encoding")
    return text
