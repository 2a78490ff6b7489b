"""Which of the known words is meant by one that is mistyped. O(known words) comparisons of short texts."""

import difflib
from collections.abc import Iterable

__all__ = ["meant_or"]


def meant_or(word: str, known: Iterable[str], otherwise: str, *, likeness: float = 0.6) -> str:
    """Return "'x' is meant, perhaps" of the known word nearest to this one; `otherwise` if none is like it.

    Case does not count, nor whether hyphens or underscores stand between parts. `likeness` is how like they
    must be, of 1: more where words share parts anyway, such as paths.

    Examples
    --------
    >>> from tombola._base.words import meant_or
    >>> meant_or("Louvian", ["phase", "louvain"], "known are phase, louvain")
    "'louvain' is meant, perhaps"
    >>> meant_or("sex", ["phase", "louvain"], "known are phase, louvain")
    'known are phase, louvain'
    """
    plain = {_plain(other): other for other in known}
    close = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=likeness)
    return f"{plain[close[0]]!r} is meant, perhaps" if close else otherwise


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
