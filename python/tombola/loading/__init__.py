"""The loader: whole fetch windows of rows, read ahead and cut into batches. And a DataLoader that counts.

In: a source and a strategy, or a sampler and any dataset. Out: batches of rows.
May import: `_base`, `plans`, `strategies`, `passes` and `sources.base`, and torch; no single source.
"""
