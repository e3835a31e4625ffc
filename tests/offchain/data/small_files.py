"""Small files in the formats of the public data sets."""

import json
import pickle
import struct

import numpy as np


def idx(values):
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes((0, 0, 8, values.ndim)) + sizes + values.astype(np.uint8).tobytes()


def write_idx(folder, prefixes=("train", "t10k"), count=4):
    """Images 2 x 2 that count up, labels 0, 1, 2, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix in prefixes:
        images = np.arange(count * 4).reshape(count, 2, 2)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(count)))
    return folder


def cifar_batch(images, labels):
    """As Python 2 wrote it: protocol 2, keys and names as bytes."""
    content = {b"data": np.asarray(images, np.uint8), b"labels": [int(one) for one in labels]}
    return pickle.dumps(content, protocol=2)


def write_cifar(folder, per_batch=2):
    """Batches whose image i is filled with the value i; labels cat and dog in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"cat", b"dog"]}, 2))
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for index, name in enumerate(names):
        numbers = np.arange(index * per_batch, (index + 1) * per_batch)
        images = np.repeat(numbers[:, None], 3072, axis=1)
        (folder / name).write_bytes(cifar_batch(images, numbers % 2))
    return folder


def leaf(users):
    """LEAF's JSON of {user: (x, y)}."""
    return json.dumps(
        {
            "users": list(users),
            "num_samples": [len(y) for _, y in users.values()],
            "user_data": {user: {"x": x, "y": y} for user, (x, y) in users.items()},
        }
    )


def write_leaf(folder, users):
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / "all_data_0.json").write_text(leaf(users))
    return folder


def cycles(lengths):
    """Lines of engines 1, 2, ... that ran `lengths` cycles; sensor s reads 100 s + the cycle."""
    return "".join(
        f"{engine} {cycle} 0 0 100 {' '.join(str(100 * s + cycle) for s in range(1, 22))}  \n"
        for engine, length in enumerate(lengths, start=1)
        for cycle in range(1, length + 1)
    )


def write_cmapss(folder, train=(34, 31, 33), test=(30, 32), left=(7, 140)):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_FD001.txt").write_text(cycles(train))
    (folder / "test_FD001.txt").write_text(cycles(test))
    (folder / "RUL_FD001.txt").write_text("".join(f"{one} \n" for one in left))
    return folder
