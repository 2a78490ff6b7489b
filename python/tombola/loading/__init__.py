"""The loader: whole fetch windows of rows, read ahead and cut into batches of tensors.

In: a source and a strategy. Out: batches of rows.
May import: `_base`, `plans`, `strategies`, `passes` and `sources.base`, and torch; no single source.
"""
