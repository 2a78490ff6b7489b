"""No measurement: the gate on instruction counts."""

from benchmarks.instructions import RECORD, Counts, compare

NOTHING_WRONG: list[str] = []


def counts(compiler: str = "GCC 12", **of_works: float) -> Counts:
    return Counts(compiler, "avx2", of_works)


def test_what_is_more_than_five_percent_on_top_is_wrong() -> None:
    record = counts(epoch=10.0, build=20.0)
    assert compare(counts(epoch=10.5, build=2.0), record)[1] == NOTHING_WRONG
    lines, wrong = compare(counts(epoch=10.6, build=20.0), record)
    assert wrong == ["epoch takes 10.60 instructions an index, 1.06 times 10.00"]
    assert "| epoch | 10.00 | 10.60 | 1.060 |" in lines


def test_counts_of_another_compiler_are_not_held_against_the_record() -> None:
    assert compare(counts("GCC 14", epoch=99.0), counts(epoch=10.0))[1] == NOTHING_WRONG


def test_work_and_record_are_of_the_same_names() -> None:
    assert compare(counts(epoch=1.0, build=1.0), counts(epoch=1.0))[1] == ["build is not recorded"]
    assert compare(counts(epoch=1.0), counts(epoch=1.0, build=1.0))[1] == [
        "build is recorded but was not counted"
    ]


def test_the_record_is_there() -> None:
    record = Counts.read(RECORD)
    assert record.instruction_set == "avx2"
    assert min(record.counts.values()) > 0
