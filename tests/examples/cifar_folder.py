"""Writes small folders in the format of CIFAR-100: pickles of protocol 2, as Python 2 wrote them.

Python 3 cannot write the text of Python 2, so the opcodes are written here (``pickletools`` explains them).
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "SUPERCLASSES", "python_2", "write_folder"]

CLASSES, SUPERCLASSES = 20, 4


def _text(text: bytes) -> bytes:
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + struct.pack("<i", len(text)) + text


def _array(array: npt.NDArray[np.uint8]) -> bytes:
    """An array: made empty, then given version, shape, type, order and content."""
    kind = (
        b"cnumpy\ndtype\n"
        + _text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + _text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + _text(b"b") + b"\x87R"
    shape = b"(" + b"".join(_value(side) for side in array.shape) + b"t"
    return empty + b"(K\x01" + shape + kind + b"\x89" + _text(array.tobytes()) + b"tb"


def _value(value: Any) -> bytes:
    match value:
        case bytes():
            return _text(value)
        case int():
            return b"J" + struct.pack("<i", value)
        case list():
            return b"](" + b"".join(map(_value, value)) + b"e"
        case dict():
            return b"}(" + b"".join(_value(part) for pair in value.items() for part in pair) + b"u"
        case _:
            return _array(value)


def python_2(value: Any) -> bytes:
    """Return a pickle of dictionaries, lists, numbers, bytes and arrays of uint8."""
    return b"\x80\x02" + _value(value) + b"."


def write_folder(folder: Path, *, train: int = 6, test: int = 2, seed: int = 0) -> Path:
    """Write `train` and `test` images of each class: a colour of the class, and noise. Return the folder."""
    random = np.random.default_rng(seed)
    colours = random.integers(40, 216, (CLASSES, 3))
    place = folder / "cifar-100-python"
    place.mkdir(parents=True)
    for name, each in (("train", train), ("test", test)):
        labels = random.permutation(np.repeat(np.arange(CLASSES), each))
        noise = random.integers(-30, 31, (len(labels), 3, 1024))
        images = (colours[labels][:, :, np.newaxis] + noise).astype(np.uint8).reshape(len(labels), 3072)
        content = {
            b"filenames": [b"image_%d.png" % k for k in range(len(labels))],
            b"batch_label": b"part 1 of 1",
            b"fine_labels": labels.tolist(),
            b"coarse_labels": (labels % SUPERCLASSES).tolist(),
            b"data": images,
        }
        (place / name).write_bytes(python_2(content))
    names = {
        b"fine_label_names": [b"class_%d" % k for k in range(CLASSES)],
        b"coarse_label_names": [b"superclass_%d" % k for k in range(SUPERCLASSES)],
    }
    (place / "meta").write_bytes(python_2(names))
    return folder
