"""Plans: the batches of one epoch, with random access.

In: a plan of the core, and whatever made it. Out: the rows of any batches.
May import: `_base` and the core. Strategies make plans, so plans know of them by protocol only.
"""
