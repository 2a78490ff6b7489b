"""What several folders of `tombola experiment`, each of another baseline, say together."""

from .together import write_study

__all__ = ["write_study"]
