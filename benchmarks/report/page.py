"""The page of a run: every figure of it is a median of times that the JSON beside it holds."""

from collections.abc import Iterable, Iterator

from benchmarks.figures import digits, power_text
from benchmarks.report.kernels import KERNELS
from benchmarks.report.results import LIMIT, Measured, Results, Row

__all__ = ["SECTIONS", "limit_rows", "markdown"]

SECTIONS = {
    "order": (
        "Orders and draws",
        "One thread; an epoch includes making its plan, and is read by whole windows.",
    ),
    "first": ("First batch", "What a trainer waits for, one thread."),
    "memory": ("Memory", "At the peak, beyond what was imported and the caller's own arrays."),
    "reading": (
        "Reading h5ad files",
        "From the file to batches of 64, blocks of 16, fetch factor 256, two threads; cold: the system was "
        "told to forget the file. In the shuffled copies: stretches of 512 rows.",
    ),
    "training": ("Loader into a trainer", "A linear model and SGD, batches of 64, a step a batch."),
}
PICTURES = {"growth": "Growth", "quality": "Speed beside quality", "limits": "Distance to the limit"}


def markdown(results: Results, name: str) -> str:
    """Return the page; its pictures are files beside it whose names begin with `name`."""
    lines = [f"# {name}", "", *_head(results), *_machine(results), *_losses(results)]
    for section, (title, text) in SECTIONS.items():
        rows = list(results.rows(section))
        if rows:
            lines += [f"## {title}", "", text, "", *_table(rows), ""]
    if any(results.of(section) for section in ("order", "first", "memory")):
        lines += [f"## {PICTURES['growth']}", "", f"![ns, ms and MB against rows]({name}-growth.png)", ""]
    lines += [*_quality(results, name), *_limits(results, name), *_left_out(results)]
    return "\n".join(lines).rstrip() + "\n"


def _head(results: Results) -> list[str]:
    command = results.options["command"]
    return [
        f"`{command}`, {results.options['day']}, {results.seconds / 60:.0f} minutes. Medians; each work in a "
        "process of its own that takes turns with its peers, after a warm-up, its answer checked before. "
        "Ratios are to the best peer, also where that was measured with fewer rows, as its figure then says. "
        "All times are in the JSON beside this page; `python -m benchmarks.report --redraw` reads it.",
        "",
    ]


def _machine(results: Results) -> list[str]:
    lines = ["## Machine", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in results.machine.items()]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items()))
    return [*lines, f"| versions | {versions or 'of no peer'} |", ""]


def _losses(results: Results) -> list[str]:
    lines = ["## Where a peer is ahead", ""]
    rows = results.losses()
    for row in rows:
        assert row.ours is not None
        assert row.ratio is not None
        best = f"{row.peers[0].who} {_value(row.peers[0], row.n)}"
        lines.append(
            f"- {row.work}, n = {power_text(row.n)}: {digits(row.ours.value)} {row.unit}, {best}: "
            f"**{digits(row.ratio)} times as good**"
        )
    return [*lines, *([] if rows else ["Nowhere in this run."]), ""]


def _table(rows: Iterable[Row]) -> Iterator[str]:
    yield "| work | n | unit | tombola | best peer | times as good | others |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        ours = digits(row.ours.value) if row.ours else ""
        best = f"{row.peers[0].who} {_value(row.peers[0], row.n)}" if row.peers else ""
        others = ", ".join(f"{one.who} {_value(one, row.n)}" for one in [*row.peers[1:], *row.limits])
        cells = (row.work, power_text(row.n), row.unit, ours, best, _ratio(row.ratio), others)
        yield f"| {' | '.join(cells)} |"


def _value(one: Measured, n: int) -> str:
    remarks = ([] if one.n == n else [f"n = {power_text(one.n)}"]) + ([one.note] if one.note else [])
    return digits(one.value) + (f" ({'; '.join(remarks)})" if remarks else "")


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return digits(ratio) if ratio >= 1 else f"**{digits(ratio)}, behind**"


def _quality(results: Results, name: str) -> Iterator[str]:
    found = results.of("quality")
    if not found:
        return
    labels = list(found[0].bits)
    yield from (f"## {PICTURES['quality']}", "")
    yield (
        f"{power_text(found[0].n)} cells of a gzip file, sparse batches of 64, fetch factor 16 (of the "
        "shuffled copies 256), two threads. Bits are the mean entropy of a batch: 14 plates lie one after "
        "the other, 40 labels in runs of 200 cells."
    )
    yield from ("", f"| reader | cells/s | {' | '.join(f'bits of {label}' for label in labels)} |")
    yield f"|---|---|{'---|' * len(labels)}"
    for one in found:
        bits = " | ".join(f"{one.bits[label]:.2f}" for label in labels)
        yield f"| {one.who} | {digits(one.value)} | {bits} |"
    yield from ("", f"![cells/s against bits of plate and of label]({name}-quality.png)", "")


def limit_rows(results: Results) -> list[tuple[str, float, float, float | None, str]]:
    """Return of each loop its name, ns, ns of its memory alone, instructions, and what it moves."""
    found = {one.work: one.value for one in results.of("limits")}
    rates = [
        found.get(f"{LIMIT}{what}")
        for what in ("write 8 bytes in a cache", "copy 8 bytes", "read 4 bytes anywhere")
    ]
    if None in rates:
        return []
    write, copy, gather = (float(rate or 0) for rate in rates)
    counts = results.instructions.get("counts", {})
    return [
        (
            kernel.name,
            found[kernel.name],
            kernel.limit(write, copy, gather),
            counts.get(kernel.name),
            kernel.why,
        )
        for kernel in KERNELS
        if kernel.name in found
    ]


def _limits(results: Results, name: str) -> Iterator[str]:
    rows = limit_rows(results)
    if not rows:
        return
    found = results.of("limits")
    memory = [one for one in found if one.work.startswith(LIMIT)]
    moved = {kernel.name: kernel for kernel in KERNELS}
    yield from (f"## {PICTURES['limits']}", "")
    rates = ", ".join(f"{one.work.removeprefix(LIMIT)} {digits(one.value)} ns" for one in memory)
    yield (
        f"n = {power_text(found[0].n)}, one thread, AVX2 kernels. Memory allowed in this run, by NumPy: "
        f"{rates}. Memory alone: what an index must move at these rates, one after the other. A loop whose "
        "reads overlap can be quicker than that. Instructions are those that valgrind counted at 2^18 rows "
        f"({results.instructions.get('compiler', 'unknown compiler')})."
    )
    yield ""
    yield (
        "| loop | ns an index | bytes an index: window, streamed, lines of 64 | memory alone, ns | share | "
        "instructions an index | a ns | what is moved |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for work, ns, limit, count, why in rows:
        kernel = moved[work]
        parts = f"{kernel.window:g}, {kernel.streamed:g}, {kernel.lines:.2g}"
        counted = ("", "") if count is None else (digits(count), digits(count / ns))
        cells = (work, digits(ns), parts, digits(limit), f"{limit / ns:.0%}", *counted, why)
        yield f"| {' | '.join(cells)} |"
    yield from ("", f"![ns an index and what memory alone takes]({name}-limits.png)", "")


def _left_out(results: Results) -> Iterator[str]:
    yield from ("## Left out", "")
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in results.left_out:
        reasons.setdefault((one.who, one.reason), []).append(one.work)
    for (who, reason), works in reasons.items():
        yield f"- **{who}**: {reason} (in: {', '.join(dict.fromkeys(works))})"
    if not reasons:
        yield "No peer."
