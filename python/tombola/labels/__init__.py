"""Labels and keys: one numbering of them, one rule for missing ones, the weights and buckets they give.

In: labels, keys, lengths and weights as users have them. Out: codes, counts, boundaries and weight arrays.
May import: `_base` and the core.
"""
