"""Eight kinds of h5ad file, and random damage to one file of a kind, both from a seed.

A kind is small, some 100 kB, so that most damage hits something that is read. Damage is one of: the file cut
off, bits flipped, a range of zeros, a range of noise, a range that stands elsewhere in the file; in values of
X, in the tables of chunks and groups, in headers, in obs and var, or anywhere.

Two things are left as they are, as HDF5 (2.0) does not come back from some of such damage, or ends the
process: what holds a heap of texts together, and the types that say that a text is one. `cpp/fuzz` does to
heaps what is not done here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata.io import write_elem

from tests.sources.h5ad.h5ad_files import random_counts

Rng = np.random.Generator
Range = tuple[int, int]

N_OBS, N_VARS = 400, 40
PLACES = ["values", "tables", "headers", "obs", "anywhere"]
WHAT = ["cut", "flips", "zeros", "noise", "copy"]
SIGNATURES = [
    *(b"TREE", b"SNOD", b"HEAP", b"GCOL"),
    *(b"BTHD", b"BTLF", b"FRHP", b"FHDB", b"FHIB", b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EADB"),
]
"""With what tables, heaps and lists begin (HDF5 file format specification, III)."""
TABLE_BYTES, HEADER_BYTES, SUPERBLOCK_BYTES = 600, 400, 96


@dataclass(frozen=True, slots=True)
class Damage:
    """What becomes of a file.

    Parameters
    ----------
    what
        In words, with the place.
    size
        At how many bytes it is cut off, or None.
    pieces
        Bytes that are put at places.
    """

    what: str
    size: int | None
    pieces: tuple[tuple[int, bytes], ...]

    def apply(self, whole: bytes) -> bytes:
        """Return the damaged file."""
        damaged = bytearray(whole)
        for at, piece in self.pieces:
            damaged[at : at + len(piece)] = piece
        return bytes(damaged[: self.size])


def counts(seed: int) -> npt.NDArray[np.float32]:
    """Give values, with rows that hold none."""
    return random_counts(N_OBS, N_VARS, density=0.25, seed=seed).toarray()


def columns(seed: int) -> pd.DataFrame:
    """Give columns of obs of every sort."""
    rng = np.random.default_rng([seed, 5])
    letters = np.array(["T cell", "B cell", "ä", "NK"], dtype=object)[rng.permutation(4)]
    picked, gaps = letters[rng.integers(0, 4, N_OBS)], rng.random(N_OBS) < 0.2
    nothing: Any = None
    return pd.DataFrame(
        {
            "kind": pd.Categorical(picked, categories=letters),
            "batch": pd.Categorical(rng.integers(0, 3, N_OBS)),
            "depth": rng.random(N_OBS),
            "text": picked,
            "count": pd.array(np.where(gaps, nothing, rng.integers(0, 9, N_OBS)), dtype="Int64"),
            "string": pd.array(np.where(gaps, nothing, picked), dtype="string"),
        },
        index=pd.Index([f"cell {i}" for i in range(N_OBS)], dtype=object),
    )


def _write(path: Path, seed: int, add_x: Callable[[h5py.File], None], libver: str = "earliest") -> None:
    with (
        h5py.File(path, "w", libver=libver) as file,
        anndata.settings.override(allow_write_nullable_strings=True),
    ):
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        add_x(file)
        write_elem(file, "obs", columns(seed))
        write_elem(
            file, "var", pd.DataFrame(index=pd.Index([f"gene {i}" for i in range(N_VARS)], dtype=object))
        )


def _dense(seed: int, **options: Any) -> Callable[[h5py.File], None]:
    def add(file: h5py.File) -> None:
        x = file.create_dataset("X", data=counts(seed), **options)
        x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

    return add


def _sparse(seed: int, **options: Any) -> Callable[[h5py.File], None]:
    def add(file: h5py.File) -> None:
        x, values = file.create_group("X"), random_counts(N_OBS, N_VARS, density=0.25, seed=seed)
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": values.shape})
        for name in ("data", "indices", "indptr"):
            x.create_dataset(name, data=getattr(values, name), **options)

    return add


def _records(path: Path, seed: int) -> None:
    """Write obs and var as records, with categories in uns, as anndata 0.6 did."""
    _write(path, seed, _sparse(seed, chunks=(300,), compression="gzip"))
    frame = columns(seed)
    with h5py.File(path, "r+") as file:
        del file["obs"], file["var"]
        x = file["X"].attrs
        x["h5sparse_format"], x["h5sparse_shape"] = b"csr", x["shape"]
        for name in ("encoding-type", "encoding-version", "shape"):
            del x[name]
        fields = [("index", "S8"), ("kind", "i1"), ("depth", "<f4"), ("text", "S8")]
        codes, texts = frame["kind"].cat.codes, [str(text).encode() for text in frame["text"]]
        rows = [(f"cell {i}".encode(), codes.iloc[i], i / 8, texts[i]) for i in range(N_OBS)]
        file["obs"] = np.array(rows, dtype=fields)
        file["var"] = np.array(
            [(f"gene {i}".encode(), i) for i in range(N_VARS)], [("index", "S8"), ("n", "i8")]
        )
        file["uns/kind_categories"] = [str(name).encode() for name in frame["kind"].cat.categories]


CHUNK = (30, N_VARS)
KINDS: dict[str, Callable[[Path], None]] = {
    "dense in one piece": lambda path: _write(path, 1, _dense(1)),
    "dense in chunks": lambda path: _write(path, 2, _dense(2, chunks=(30, 16))),
    "dense, gzip": lambda path: _write(path, 3, _dense(3, chunks=CHUNK, compression="gzip"), "latest"),
    "sparse, gzip and shuffle": lambda path: _write(
        path, 4, _sparse(4, chunks=(300,), compression="gzip", shuffle=True)
    ),
    "sparse, lzf": lambda path: _write(path, 5, _sparse(5, chunks=(300,), compression="lzf")),
    "sparse, fletcher32": lambda path: _write(path, 6, _sparse(6, chunks=(300,), fletcher32=True)),
    "several files": lambda path: _write(path, 7, _sparse(7), "latest"),
    "records": lambda path: _records(path, 8),
}
HAS_CHECKSUM = {"dense, gzip", "sparse, gzip and shuffle", "sparse, fletcher32", "records"}
"""Kinds of which X has a checksum wherever it has values."""


def write_kind(folder: Path, kind: str) -> tuple[Path, tuple[Path, ...]]:
    """Write the files of a kind; return the one that is to be damaged, and all in their order."""
    name = kind.replace(" ", "_").replace(",", "")
    path = folder / f"{name}.h5ad"
    KINDS[kind](path)
    if kind != "several files":
        return path, (path,)
    others = folder / f"{name}_a.h5ad", folder / f"{name}_b.h5ad"
    for number, other in enumerate(others):
        _write(other, 70 + number, _sparse(70 + number, chunks=(300,), compression="gzip"))
    return path, (others[0], path, others[1])


def regions(path: Path) -> dict[str, list[Range]]:
    """Say where the places of a file lie; each has some."""
    whole = path.read_bytes()
    found: dict[str, list[Range]] = {"headers": [(0, SUPERBLOCK_BYTES)], "values": [], "obs": []}
    with h5py.File(path, "r") as file:

        def note(name: str, element: h5py.HLObject) -> None:
            address = h5py.h5o.get_info(element.id).addr
            found["headers"].append((address, address + HEADER_BYTES))
            if isinstance(element, h5py.Dataset) and element.shape:
                place = "values" if name.startswith("X") else "obs"
                found[place] += list(_stored(element))

        file.visititems(note)
    values = found["values"]
    found["tables"] = [
        (at, at + TABLE_BYTES)
        for signature in SIGNATURES
        for at in _all(whole, signature)
        if not any(start <= at < stop for start, stop in values)
    ]
    found["anywhere"] = [(0, len(whole))]
    return {place: [(a, min(b, len(whole))) for a, b in parts] for place, parts in found.items()}


def _stored(dataset: h5py.Dataset) -> Iterator[Range]:
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is not None:
            yield offset, offset + dataset.id.get_storage_size()
        return
    for i in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(i)
        yield chunk.byte_offset, chunk.byte_offset + chunk.size


def _all(whole: bytes, part: bytes) -> Iterator[int]:
    at = whole.find(part)
    while at >= 0:
        yield at
        at = whole.find(part, at + 1)


def heap_headers(whole: bytes) -> Iterator[Range]:
    """Give where heaps of texts keep how long their pieces are: "Global Heap" of the HDF5 specification."""
    header = 16
    for heap in _all(whole, b"GCOL"):
        yield heap, heap + header
        end = heap + int.from_bytes(whole[heap + 8 : heap + 16], "little")
        at, number = heap + header, 1
        while number and at + header <= end:
            yield at, at + header
            number = int.from_bytes(whole[at : at + 2], "little")
            at += header + -(-int.from_bytes(whole[at + 8 : at + 16], "little") // 8) * 8


def types_of_text(whole: bytes) -> Iterator[Range]:
    """Give where types of variable length are: "Datatype Message" there, class 9, of 16 bytes."""
    return (found.span() for found in re.finditer(rb"[\x19\x39\x49].{3}\x10\0{3}", whole, re.DOTALL))


def damage_of(whole: bytes, places: dict[str, list[Range]], rng: Rng) -> Damage:
    """Return random damage to a file of these bytes and places, which spares heaps and types of text."""
    drawn = _drawn(whole, places, rng)
    spared = (
        (start, whole[start:stop])
        for start, stop in chain(heap_headers(whole), types_of_text(whole))
        if any(at < stop and start < at + len(piece) for at, piece in drawn.pieces)
    )
    return replace(drawn, pieces=(*drawn.pieces, *spared))


def _drawn(whole: bytes, places: dict[str, list[Range]], rng: Rng) -> Damage:
    what = str(rng.choice(WHAT, p=[0.1, 0.4, 0.15, 0.2, 0.15]))
    if what == "cut":
        size = int(rng.integers(len(whole)))
        return Damage(f"cut off at byte {size}", size, ())
    place = str(rng.choice(PLACES, p=[0.25, 0.2, 0.2, 0.2, 0.15]))
    start, stop = places[place][int(rng.integers(len(places[place])))]
    if what == "flips":
        pieces = []
        for at in rng.integers(start, stop, 1 if rng.random() < 0.5 else int(rng.integers(2, 9))).tolist():
            pieces.append((at, bytes([whole[at] ^ 1 << int(rng.integers(8))])))
        return Damage(f"{len(pieces)} bits flipped in {place}, from byte {pieces[0][0]}", None, tuple(pieces))
    at = int(rng.integers(start, stop))
    length = min(int(2 ** (rng.random() * 11)), len(whole) - at)
    if what == "zeros":
        piece = bytes(length)
    elif what == "noise":
        piece = rng.bytes(length)
    else:
        source = int(rng.integers(len(whole) - length + 1))
        piece = whole[source : source + length]
    return Damage(f"{what} of {length} bytes in {place}, from byte {at}", None, ((at, piece),))
