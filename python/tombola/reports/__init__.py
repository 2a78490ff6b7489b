"""What plans will do, counted from their batches: sizes, runs, repeats, classes, series, buckets, padding.

In: plans, and labels or lengths of their rows. Out: dicts that print as tables, and pictures of batches.
May import: `_base`, `labels`, `plans` and the core; matplotlib late. A plan asks for its report and picture
through what made it.
"""
