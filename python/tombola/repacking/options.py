"""How files are written anew, checked before anything is read."""

from dataclasses import dataclass
from typing import Final

from .._base.checks import check_bool, check_choice, check_integer

__all__ = ["CODECS", "DEFAULT_CHUNK_VALUES", "DEFAULT_MEMORY", "INDEX_DTYPES", "RepackOptions"]

CODECS: Final = ("none", "gzip", "lzf", "zstd")
INDEX_DTYPES: Final = ("auto", "keep", "uint16")
DEFAULT_CHUNK_VALUES: Final = 8_192
DEFAULT_MEMORY: Final = 512 << 20
_LEAST_MEMORY = 1 << 16
_LEVELS = {"gzip": (0, 9), "zstd": (1, 22)}
_DEFAULT_LEVELS = {"gzip": 4, "zstd": 3}


@dataclass(frozen=True, kw_only=True)
class RepackOptions:
    """How files are written anew.

    Parameters
    ----------
    shuffle
        Whether rows are permuted, by ``tombola.permutation(n, seed)``.
    seed
        Of the permutation.
    row_column
        With `shuffle`, the column of obs that says which row of the input a row was, the inputs' rows counted
        through.
    chunk_values
        Values of a chunk of data and of indices; a chunk of a dense matrix has as many whole rows as fit, at
        least one.
    compression
        "none", "gzip", "lzf" or "zstd", the last with hdf5plugin.
    level
        Of gzip (0 to 9) or zstd (1 to 22). By default 4 and 3.
    byte_shuffle
        Whether HDF5's shuffle filter comes before the codec.
    index_dtype
        Type of column indices: "auto" is int32 wherever columns allow, "keep" that of the input, "uint16"
        half as large, for matrices of at most 65,536 columns. anndata reads uint16, but parts of scikit-learn
        refuse the matrix that it gives.
    memory
        Bytes that windows of rows may take, in all their copies.
    verify
        Whether every row of the output is compared with the inputs before the output gets its name.
    force
        Whether an output that exists is replaced.

    Raises
    ------
    ValueError
        If an option does not do.
    """

    shuffle: bool = False
    seed: int = 0
    row_column: str = "original_row"
    chunk_values: int = DEFAULT_CHUNK_VALUES
    compression: str = "gzip"
    level: int | None = None
    byte_shuffle: bool = True
    index_dtype: str = "auto"
    memory: int = DEFAULT_MEMORY
    verify: bool = True
    force: bool = False

    def __post_init__(self) -> None:
        check_integer("seed", self.seed)
        check_integer("chunk_values", self.chunk_values, minimum=1, limit=2**28)
        check_integer("memory", self.memory, minimum=_LEAST_MEMORY)
        check_choice("compression", self.compression, CODECS)
        check_choice("index_dtype", self.index_dtype, INDEX_DTYPES)
        for name in ("shuffle", "byte_shuffle", "verify", "force"):
            check_bool(name, getattr(self, name))
        if not self.row_column or "/" in self.row_column:
            msg = f"row_column must be the name of a column of obs, but is {self.row_column!r}"
            raise ValueError(msg)
        if self.level is not None:
            if self.compression not in _LEVELS:
                msg = f"level is of gzip and zstd, but compression is {self.compression!r}"
                raise ValueError(msg)
            least, most = _LEVELS[self.compression]
            if not least <= check_integer("level", self.level) <= most:
                msg = f"level of {self.compression} must be from {least} to {most}, but is {self.level}"
                raise ValueError(msg)

    @property
    def chosen_level(self) -> int | None:
        """The level, where the codec has one."""
        return _DEFAULT_LEVELS.get(self.compression) if self.level is None else self.level
