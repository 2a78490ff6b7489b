"""What several folders of `tombola experiment` say together, each of another baseline: tables and a picture."""

from .together import write_study

__all__ = ["write_study"]
