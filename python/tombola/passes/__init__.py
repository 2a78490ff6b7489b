"""Passes: which epoch comes next, what of it is consumed, which batches a rank takes. Resume is defined here.

In: a strategy, the ranks, and who asks. Out: plans, shares of their batches, and states that JSON can hold.
May import: `_base`, `plans` and `strategies`; neither torch nor NumPy.
"""
