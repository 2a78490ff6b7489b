"""The six-strategy experiment, `tombola demo` and `tombola run`: one model, its batches chosen in six ways.

`data` opens files and splits rows, `config` holds the options, `training` trains and tests with one strategy,
`metrics` scores, `runner` goes through all strategies and writes files, `summary` and `plots` show them.

In: h5ad files and options. Out: scores, records, tables, a picture.
May import: the parts that `train` shares, which lie beside this folder; neither `train` nor `sweep`.
"""
