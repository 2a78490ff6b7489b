"""Writing h5ad files anew in a layout that loads fast: rows shuffled, small chunks, a codec by choice.

In: h5ad files. Out: one h5ad file with all that they hold, which every reader of h5ad still reads.
May import: `_base`, `draws`, `labels`, `sources`. The command line calls it.

Importing this costs little: h5py is imported by the first call.
"""

from typing import TYPE_CHECKING, Any

from .options import RepackOptions

if TYPE_CHECKING:
    from .rewrite import RepackResult, repack

__all__ = ["RepackOptions", "RepackResult", "repack"]


def __getattr__(name: str) -> Any:
    if name in ("repack", "RepackResult"):
        from . import rewrite as module

        return getattr(module, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
