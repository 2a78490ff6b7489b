"""How many rows a second are read from h5ad files, by tombola's loader and by peers beside it.

In: h5ad files. Out: figures, each with its setting.
May import: every room up to `training`; peers are imported where they are measured.
"""

from .measuring import Figure, measure
from .settings import OURS, Setting

__all__ = ["OURS", "Figure", "Setting", "measure"]
