"""Single draws, without a plan: permutations, alias tables, the sum tree.

In: a number of rows, or a weight for each. Out: row numbers.
May import: `_base`, `labels` and the core.
"""
