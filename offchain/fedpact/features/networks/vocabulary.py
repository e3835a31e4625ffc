"""The vocabulary of a network of texts that a request names: BERT's word pieces.

It is part of the network's file, as text: a stranger's tokenizer would be a program of regular
expressions. Words are looked up in the list, pieces begin with `##` (Devlin et al. 2019).
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import DataError

if TYPE_CHECKING:
    from onnx import ModelProto
    from tokenizers import Tokenizer

VOCABULARY = "fedpact.vocabulary"
"""Its key among a file's metadata."""
MAX_WORDS = 1 << 18
FILLER, UNKNOWN, BEGIN, END = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
"""Words that each vocabulary has."""


@dataclass(frozen=True)
class Vocabulary:
    words: tuple[str, ...]
    """A token is a word's place in the list."""
    lowercase: bool = True
    """Whether texts are put into lower case and lose their accents."""

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of what `text` wrote; raises DataError for anything else."""
        try:
            fields = json.loads(text)
            found = cls(tuple(fields["words"]), fields["lowercase"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(f"network: its vocabulary cannot be read ({error!r:.80})") from error
        found._check()
        return found

    @classmethod
    def of_lines(cls, content: bytes, lowercase: bool) -> Self:
        """Of a file with one word a line, as BERT's `vocab.txt`; raises DataError if it is none."""
        try:
            lines = content.decode().removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise DataError(f"vocabulary: it is not UTF-8 ({error})") from error
        found = cls(tuple(one.removesuffix("\r") for one in lines), lowercase)
        found._check()
        return found

    def text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    def added_to(self, network: bytes) -> bytes:
        """The file of a network with this vocabulary; raises DataError if it is no ONNX file."""
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

        try:
            model: ModelProto = onnx.load_model_from_string(network)
        except DecodeError as error:
            raise DataError("network: not an ONNX file") from error
        kept = [one for one in model.metadata_props if one.key != VOCABULARY]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        model.metadata_props.add(key=VOCABULARY, value=self.text())
        return bytes(model.SerializeToString(deterministic=True))

    def tokenizer(self, tokens: int) -> "Tokenizer":
        """Of texts, `tokens` at a time; what is left over is in `overflowing`."""
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

        places = {word: place for place, word in enumerate(self.words)}
        made = Tokenizer(models.WordPiece(places, unk_token=UNKNOWN))
        made.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        ends = [(END, places[END]), (BEGIN, places[BEGIN])]
        made.post_processor = processors.BertProcessing(*ends)
        made.enable_truncation(tokens)
        return made

    def filled(self, found: NDArray[np.int64], tokens: int) -> tuple[NDArray[np.generic], ...]:
        """Tokens (1, n) filled up to (1, `tokens`), and their mask."""
        whole = np.full((1, tokens), self.words.index(FILLER), np.int64)
        mask = np.zeros((1, tokens), np.float32)
        whole[:, : found.size], mask[:, : found.size] = found, 1
        return whole, mask

    def _check(self) -> None:
        if type(self.lowercase) is not bool or not all(type(one) is str for one in self.words):
            raise DataError("network: its vocabulary is not words, and whether they are lower case")
        try:
            "".join(self.words).encode()
        except UnicodeEncodeError as error:
            raise DataError("network: its vocabulary has half a character") from error
        if len(self.words) > MAX_WORDS:
            raise DataError(f"network: a vocabulary of {len(self.words)} words, over {MAX_WORDS}")
        missing = [one for one in SPECIAL if one not in self.words]
        if missing:
            raise DataError(f"network: its vocabulary lacks {missing[0]}")
        if len(set(self.words)) < len(self.words):
            raise DataError("network: its vocabulary has a word twice")
