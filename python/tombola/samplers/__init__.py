"""Samplers for torch's DataLoader: the batch sampler, drop-ins for users' own ones, collating.

In: strategies, or keys as users have them. Out: the row numbers of each batch.
May import: `_base`, `labels`, `plans`, `strategies` and `passes`, and torch; never sources.
"""
