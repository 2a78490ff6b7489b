"""One spelling of options in commands and examples: hyphens and underscores alike, one word for one thing.

Rule: words that users of earlier scripts have for an option mean the same as the one used here, wherever
there is such an option.
"""

__all__ = ["SYNONYMS", "option_word"]

SYNONYMS = {
    "max-epochs": "epochs",
    "num-epochs": "epochs",
    "n-trials": "trials",
    "num-trials": "trials",
    "lr": "learning-rate",
    "mini-epoch-size": "chunk-size",
    "save-dir": "output",
    "output-dir": "output",
}


def option_word(name: str) -> str:
    """Return the word by which an option is known, given its name without the hyphens before it.

    Examples
    --------
    >>> from tombola._base.option_names import option_word
    >>> option_word("batch_size"), option_word("max_epochs"), option_word("no-use_series_sampler")
    ('batch-size', 'epochs', 'no-use-series-sampler')
    """
    word = name.replace("_", "-")
    return SYNONYMS.get(word, word)
