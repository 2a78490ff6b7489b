"""Rows from h5ad files, as anndata writes them: layout, matrices, obs columns, errors that name the place.

In: paths. Out: the columns of the rows asked for. `source` is the one that the others serve.
May import: `_base`, `labels`, `sources` and the core, and h5py.
"""
