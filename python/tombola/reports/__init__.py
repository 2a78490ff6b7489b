"""What plans will do, counted from their batches: sizes, runs, repeats, classes, series, buckets, padding.

In: plans, and labels or lengths of their rows. Out: dicts that print as tables.
May import: `_base`, `labels`, `plans` and the core. A plan asks for its report through what made it.
"""
