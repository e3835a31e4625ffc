"""Running a network one example at a time, so that no example's features depend on another's."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fedpact.features.networks.vocabulary import VOCABULARY, Vocabulary

T = TypeVar("T")


class FrozenSession:
    """A network in ONNX on the processor.

    One thread an example: a sum inside it always has the same order, and several examples at once
    use several cores.
    """

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._inputs = [one.name for one in self._session.get_inputs()]

    @property
    def shapes(self) -> tuple[tuple[int | str, ...], ...]:
        """Of what it takes, and of what it gives; a name is any length."""
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        return tuple(tuple(one.shape) for one in ends)

    @property
    def vocabulary(self) -> Vocabulary:
        """That of a network of texts; raises DataError if it has none."""
        known = self._session.get_modelmeta().custom_metadata_map
        return Vocabulary.parse(known.get(VOCABULARY, ""))

    def run(self, *example: NDArray[np.generic]) -> NDArray[np.float32]:
        """The features, (d,), of one example: its parts, (1, *shape) each."""
        parts = map(np.ascontiguousarray, example)
        (found,) = self._session.run(None, dict(zip(self._inputs, parts, strict=True)))
        return np.asarray(found[0], dtype=np.float32)


def on_all_cores(
    work: Callable[[T], NDArray[np.float32]], examples: Sequence[T]
) -> list[NDArray[np.float32]]:
    """`work` of each example, in order, with subnormal numbers as zero: they would take longer, and
    the time would tell of the example."""
    return list(_workers(os.getpid()).map(work, examples))


@lru_cache(maxsize=1)
def _workers(process_id: int) -> ThreadPoolExecutor:
    """Threads of their own: the processor's mode for subnormal numbers is a thread's. A fork has
    its own."""
    import torch

    return ThreadPoolExecutor(
        len(os.sched_getaffinity(0)),
        f"features of {process_id}",
        initializer=torch.set_flush_denormal,
        initargs=(True,),
    )
