"""One command that measures everything beside its peers and writes a page: ``python -m benchmarks.report``.

`works` says what is measured and by whom, `measuring` lets processes take turns, `worker` is what runs in them,
`plans`, `replay`, `reading` and `training` make what they run; `page` and `plots` show what `results` keeps.
"""
