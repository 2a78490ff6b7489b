"""Which codec the streams of Blosc 1 are by: as a dataset asks for it, and as the header of a chunk says.

Names are those of `chunks`. Numbers are those of c-blosc: of compressors in the filter's options, of formats
in the header (README_CHUNK_FORMAT.rst).
"""

from collections.abc import Sequence

__all__ = ["asked_codec", "stream_codec"]

_COMPRESSORS = ("blosclz", "lz4", "lz4", "snappy", "deflate", "zstd")
_FORMATS = ("blosclz", "lz4", "snappy", "deflate", "zstd")
_OPTION = 6
"""Which of the filter's options is the compressor; without it blosclz."""

_VERSION = 2
_HEADER_BYTES = 16


def asked_codec(options: Sequence[int]) -> str:
    """Return the codec that a dataset's streams are to be by; "unknown" if Blosc 1 has no such."""
    number = options[_OPTION] if len(options) > _OPTION else 0
    return _COMPRESSORS[number] if number < len(_COMPRESSORS) else "unknown"


def stream_codec(chunk: bytes) -> str:
    """Return the codec of a chunk's streams; "unknown" if it is no chunk of Blosc 1."""
    number = chunk[2] >> 5 if len(chunk) >= _HEADER_BYTES and chunk[0] == _VERSION else len(_FORMATS)
    return _FORMATS[number] if number < len(_FORMATS) else "unknown"
