"""One command that measures all beside its peers and writes a page: ``python -m benchmarks.report``.

`works` says what is measured and by whom, `jobs` with how many rows; `measuring` lets processes take turns,
`worker` is what runs in them; `plans`, `first`, `replay`, `reading`, `training` and `memory` make what they
run. `results` keeps all times, `page` and `plots` show them.
"""
