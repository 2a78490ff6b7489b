"""A pairwise ranker of photos, and what its batches are made of."""
