"""Where rows come from: h5ad files, arrays, anything that follows the `Source` protocol.

In: paths or arrays. Out: the columns of the rows asked for, in their order.
May import: `_base`, `labels` and the core; they know nothing of plans and of torch. `h5ad` is a room within.
"""

from typing import TYPE_CHECKING, Any

from .arrays import ArraySource
from .base import Column, CsrRows, Source
from .h5ad.errors import H5adError

if TYPE_CHECKING:
    from .h5ad.source import H5adSource

__all__ = ["ArraySource", "Column", "CsrRows", "H5adError", "H5adSource", "Source"]


def __getattr__(name: str) -> Any:
    # h5py takes a while to import and is needed for files only.
    if name == "H5adSource":
        from .h5ad.source import H5adSource

        return H5adSource
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
