"""Proofs too large for the suite: each is run by one command, and its results are kept.

In: a name. Out: lines of what was found, in `benchmarks/results/large.md`, or an AssertionError.
`test_proofs` runs each at a small size, and shows that it fails on what it is there to find.
"""
