"""One-round text statistics over providers: noised class sums, one linear discriminant.

Each provider noises its class sums and releases them once. All releases are charged at delta 1e-5;
the privacy unit is a document. The defaults of HashedBag, StatisticsLayout and Constants are the
same for all collections and not charged; docs/texts.md says on which documents they were chosen.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fedpact.features.text.frequencies import bucket_frequencies
from fedpact.features.text.hashing import HashedBag
from fedpact.features.text.word_vectors import WIDTH, dense_rows, word_vectors
from fedpact.learning import text_statistics
from fedpact.learning.discriminant import Constants, solve
from fedpact.learning.text_statistics import StatisticsLayout
from fedpact.privacy.accounting import calibrate
from lab.text_training.task import DELTA, Clock, Seconds, TextRun, TextTask

Rows = tuple[sparse.csr_matrix, NDArray[np.float32] | None]


@dataclass(frozen=True)
class TextStatisticsRun:
    """Class sums of hashed bags of words and, with `vectors`, of rows of the public word table."""

    vectors: bool = False
    bits: int = HashedBag.bits
    common: float = HashedBag.common
    cap: float = HashedBag.cap
    count_weight: float = StatisticsLayout.count_weight
    dense_weight: float = StatisticsLayout.dense_weight
    least_share: float = Constants.least_share
    smoothing: float = Constants.smoothing
    noised_smoothing: float = Constants.noised_smoothing
    sharpness: float = Constants.sharpness

    @property
    def bag(self) -> HashedBag:
        return HashedBag(self.bits, self.common, self.cap)

    def run(self, task: TextTask, epsilon: float | None) -> TextRun:
        """One release per provider; no noise if `epsilon` is None."""
        layout = StatisticsLayout(
            len(task.source.labels),
            self.bag.width,
            WIDTH if self.vectors else 0,
            self.count_weight,
            self.dense_weight,
        )
        multiplier = 0.0 if epsilon is None else calibrate(epsilon, DELTA, 1, 1.0)
        self._load_public_tables()
        models, representation, training = {}, [], []
        for seat in range(len(task.parts)):
            with Clock() as clock:
                words, dense = self._rows(task.texts(seat))
            representation.append(clock.seconds)
            with Clock() as clock:
                models[seat] = text_statistics.release(
                    layout,
                    words,
                    task.labels(seat),
                    dense,
                    noise_multiplier=multiplier,
                    noise=task.noise(seat) if multiplier else None,
                ).model()
            training.append(clock.seconds)
        with Clock() as clock:
            combined = text_statistics.combine(layout, models, multiplier)
            constants = Constants(
                self.least_share, self.smoothing, self.noised_smoothing, self.sharpness
            )
            found = solve(layout, combined, bucket_frequencies(self.bits), constants)
        spent = text_statistics.cost(layout, multiplier, DELTA) if multiplier else None
        return TextRun(
            found.predict(*self._rows(task.source.test)),
            Seconds(representation, training, clock.seconds),
            {"mode": "none"} if spent is None else {"mode": "sound", **asdict(spent)},
            details={"noise_multiplier": multiplier},
        )

    def _load_public_tables(self) -> None:
        """Loaded once per process, before any clock runs."""
        self.bag.weights()
        if self.vectors:
            word_vectors()

    def _rows(self, texts: Sequence[str]) -> Rows:
        return self.bag.rows(texts), dense_rows(texts) if self.vectors else None
