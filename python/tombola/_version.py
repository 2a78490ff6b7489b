"""The version of tombola: the one place where it is written (pyproject.toml reads it from here)."""

__version__ = "0.1.0"
"""The version, as of the package's metadata."""
