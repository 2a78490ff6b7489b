"""The order never changes unnoticed: oracle and core give what the golden files hold.

`philox4x32.json` comes from the authors of Philox; `records.json` was written by `tests/golden/records.py`.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.cases import make_weights
from tests.compare import core_group_plan, core_plan, core_tuple_plan, mixture_of
from tests.golden.records import (
    PATH,
    UPDATED,
    Record,
    by_oracle,
    case_of,
    digest,
    far_positions,
    group_case_of,
    mixture_case_of,
    records,
    tuple_case_of,
)
from tests.oracle.philox import philox
from tombola import _core

RECORDS: list[Record] = json.loads(PATH.read_text())
PERMUTATIONS = {"permutation", "random_permutation", "random_permutation_far"}
DRAWS = {"alias", "grouped_alias", "sum_tree", "reservoir", "uniform_draws", "unit_draws"}
IN_CORE = PERMUTATIONS | DRAWS | {"plan", "group_plan", "tuple_plan", "mixture_plan"}
DRAW = ("seed", "step", "stored", "size", "replace")
RESULT = {"count", "values", "sha256"}


def name(record: Record) -> str:
    """Return a short name for the test's report."""
    arguments: dict[str, Any] = record.get("case", record)
    shown = [f"{key}={arguments[key]}" for key in ("kind", "n", "key", "seed", "weights") if key in arguments]
    return "-".join([record["what"], *shown])


def by_core(record: Record) -> ArrayLike:
    """Return what the core makes of a record's arguments."""
    n = record.get("n", 0)
    match record["what"]:
        case "permutation":
            return _core.permutation(n, record["seed"])
        case "random_permutation":
            return _core.RandomPermutation(n, record["key"]).fill(0, n)
        case "random_permutation_far":
            return _core.RandomPermutation(n, record["key"]).take(far_positions(n))
        case "alias":
            table = _core.AliasTable(_core.WeightTable.from_values(make_weights(record["weights"], n)))
            return table.draw(record["size"], record["seed"], record["epoch"])
        case "grouped_alias":
            grouped = _core.GroupedAlias(np.array(record["offsets"]), make_weights(record["weights"], n))
            return grouped.draw(record["size"], record["seed"], record["epoch"])
        case "sum_tree":
            tree = _core.SumTree(n)
            tree.fill(make_weights(record["weights"], n))
            tree.update(np.array(UPDATED), make_weights("mixed", len(UPDATED)) * 100)
            kind = record["kind"]
            options = {"replace": kind != "distinct", "stratified": kind == "stratified"}
            return tree.draw(record["size"], record["seed"], record["step"], **options)[0]
        case "reservoir":
            return _core.reservoir_slots(record["seed"], record["first"], record["size"], record["slots"])
        case "uniform_draws":
            return _core.uniform_draws(**{key: record[key] for key in DRAW})
        case "unit_draws":
            return (_core.unit_draws(record["seed"], record["step"], record["size"]) * 2**53).astype(np.int64)
        case "group_plan":
            plan = core_group_plan(group_case_of(record))
            return np.concatenate(plan.batches(0, len(plan)))
        case "tuple_plan":
            plan = core_tuple_plan(tuple_case_of(record))
            return plan.batches(0, len(plan))[0]
        case "mixture_plan":
            case = mixture_case_of(record)
            how = asdict(case.batching)
            return mixture_of(case).plan(**how).indices()
        case _:
            plan = core_plan(case_of(record))
            return plan.batches(0, len(plan))[0]


def test_philox_equals_its_authors_vectors() -> None:
    known = json.loads(Path(__file__).with_name("philox4x32.json").read_text())
    for vector in known["vectors"]:
        counter, key, output = ([int(x, 16) for x in vector[part]] for part in ("counter", "key", "output"))
        assert [int(x) for x in philox(*counter, *key)] == output


def test_plan_version_is_the_records() -> None:
    assert _core.PLAN_VERSION == 1, "a new plan version needs new golden records"


def test_records_are_those_of_the_program() -> None:
    kept = [{key: value for key, value in record.items() if key not in RESULT} for record in RECORDS]
    assert kept == json.loads(json.dumps(list(records())))


@pytest.mark.parametrize("record", RECORDS, ids=name)
def test_oracle(record: Record) -> None:
    expected = {key: value for key, value in record.items() if key in RESULT}
    assert digest(by_oracle(record)) == expected


@pytest.mark.parametrize("record", [r for r in RECORDS if r["what"] in IN_CORE], ids=name)
def test_core(record: Record) -> None:
    expected = {key: value for key, value in record.items() if key in RESULT}
    assert digest(np.asarray(by_core(record))) == expected
