"""The kernels of `importance`: group sizes, group balance, cosine similarity, and importance in one pass.

Sums over features run in 16 lanes, element j in lane j % 16, and the lanes are then added in halves (0 and 8,
1 and 9, ...): one order for all threads and processors, wide enough for any vector unit. LLVM may not fuse
multiply and add here, and it would change nothing: a product of two float32 is exact in float64.

Rows are cut into chunks. Each chunk tells its first fault as ``row * FAULT_KINDS + kind``, so that the least
of them is the first of all; after a fault the output is partly written. Import this module late: it needs
Numba.
"""

import math
from typing import Any

import numba.types
import numpy as np
from llvmlite import ir
from numba import prange
from numba.extending import intrinsic

from ._runtime import Kernel, compiled

__all__ = ["COUNT", "FAULT_KINDS", "IMPORTANCE", "NO_FAULT"]

LANES = 16
FAULT_KINDS = 4
GROUP, LABEL, FEATURE = range(3)
NO_FAULT = 2**63 - 1
SAFE_FROM, SAFE_TO = 1e-280, 1e300  # squares in here lost nothing to underflow or overflow
INFINITY, NOT_A_NUMBER = math.inf, math.nan


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _lane_sums(typing: Any, left: Any, i: Any, right: Any, j: Any) -> Any:
    """Return the sums of left[i] * right[j] and of left[i] ** 2 over the columns that fill all lanes."""
    signature = numba.types.UniTuple(numba.types.float64, 2)(left, i, right, j)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer, double = ir.IntType(64), ir.DoubleType()
        wide = ir.VectorType(double, LANES)

        def array(position: int) -> tuple[Any, Any, Any]:
            """Address of the row, its columns, and the type of an element."""
            kind = signature.args[position]
            made = context.make_array(kind)(context, builder, arguments[position])
            columns = builder.extract_value(made.shape, 1)
            first = builder.gep(made.data, [builder.mul(arguments[position + 1], columns)])
            return first, columns, context.get_data_type(kind.dtype)

        def load(first: Any, kind: Any, column: Any) -> Any:
            narrow = ir.VectorType(kind, LANES)
            address = builder.bitcast(builder.gep(first, [column]), narrow.as_pointer())
            vector = builder.load(address, align=4 if kind != double else 8)
            return builder.fpext(vector, wide) if kind != double else vector

        def fold(vector: Any) -> Any:
            count = LANES
            while count > 1:
                count //= 2
                halves = [
                    builder.shuffle_vector(
                        vector,
                        ir.Constant(vector.type, ir.Undefined),
                        ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(start, start + count))),
                    )
                    for start in (0, count)
                ]
                vector = builder.fadd(*halves)
            return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

        rows = array(0), array(2)
        stop = builder.and_(rows[0][1], ir.Constant(integer, -LANES))
        entry = builder.block
        test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
        builder.branch(test)

        builder.position_at_end(test)
        column, dot, square = builder.phi(integer), builder.phi(wide), builder.phi(wide)
        builder.cbranch(builder.icmp_signed("<", column, stop), body, end)

        builder.position_at_end(body)
        x, y = (load(first, kind, column) for first, _, kind in rows)
        new_dot = builder.fadd(dot, builder.fmul(x, y))
        new_square = builder.fadd(square, builder.fmul(x, x))
        new_column = builder.add(column, ir.Constant(integer, LANES))
        builder.branch(test)

        zero = ir.Constant(wide, [0.0] * LANES)
        for phi, first, later in (
            (column, ir.Constant(integer, 0), new_column),
            (dot, zero, new_dot),
            (square, zero, new_square),
        ):
            phi.add_incoming(first, entry)
            phi.add_incoming(later, body)
        builder.position_at_end(end)
        return context.make_tuple(builder, signature.return_type, [fold(dot), fold(square)])

    return signature, generate


@compiled(inner=True)
def _balance_rows(start: Any, stop: Any, groups: Any, shares: Any, out: Any) -> Any:
    """Write the share of each row's group."""
    for row in range(start, stop):
        group = np.uint64(groups[row])  # negative ones become large
        if group >= np.uint64(shares.shape[0]):
            return row * FAULT_KINDS + GROUP
        out[row] = shares[group]
    return NO_FAULT


@compiled(inner=True)
def _careful_cosine(features: Any, row: Any, prototypes: Any, label: Any) -> Any:
    """Return the cosine of a row whose squares leave float64's range; NaN if a value is not finite."""
    largest = 0.0
    for column in range(features.shape[1]):
        size = np.float64(features[row, column])
        size = -size if size < 0 else size
        if not size < INFINITY:
            return NOT_A_NUMBER
        if size > largest:
            largest = size
    length = prototypes[label, prototypes.shape[1] - 1]
    if largest == 0 or length == 0:
        return 0.0
    dot = 0.0
    square = 0.0
    for column in range(features.shape[1]):
        x = np.float64(features[row, column]) / largest
        dot += x * prototypes[label, column]
        square += x * x
    return dot / (math.sqrt(square) * length)


@compiled(inner=True)
def _cosine_rows(
    start: Any, stop: Any, features: Any, labels: Any, prototypes: Any, epsilon: Any, out: Any
) -> Any:
    """Write the similarity of each row to its prototype, or divide by it plus epsilon what is there."""
    columns = features.shape[1]
    rest = columns - columns % LANES
    for row in range(start, stop):
        label = labels[row]
        if label < 0 or label >= prototypes.shape[0]:
            return row * FAULT_KINDS + LABEL
        dot, square = _lane_sums(features, row, prototypes, label)
        for column in range(rest, columns):
            x = np.float64(features[row, column])
            dot += x * prototypes[label, column]
            square += x * x
        if SAFE_FROM < square < SAFE_TO:
            length = prototypes[label, prototypes.shape[1] - 1]
            cosine = dot / (math.sqrt(square) * length) if length > 0 else 0.0
        else:
            cosine = _careful_cosine(features, row, prototypes, label)
            if cosine != cosine:
                return row * FAULT_KINDS + FEATURE
        similarity = (1 + cosine) * 0.5
        if similarity < 0:
            similarity = 0.0
        elif similarity > 1:
            similarity = 1.0
        out[row] = out[row] / (similarity + epsilon) if epsilon > 0 else similarity
    return NO_FAULT


@compiled
def _importance_parts(
    first: Any,
    last: Any,
    chunk: Any,
    groups: Any,
    shares: Any,
    features: Any,
    labels: Any,
    prototypes: Any,
    epsilon: Any,
    out: Any,
    faults: Any,
) -> None:
    """Do for some chunks what the arrays that are not empty ask for, and note the first fault of each."""
    for part in range(first, last):
        start, stop = part * chunk, (part + 1) * chunk
        if stop > out.shape[0]:
            stop = out.shape[0]
        fault = NO_FAULT
        if shares.shape[0] > 0:
            fault = _balance_rows(start, stop, groups, shares, out)
            if fault != NO_FAULT:
                stop = fault // FAULT_KINDS
        if features.shape[1] > 0:
            other = _cosine_rows(start, stop, features, labels, prototypes, epsilon, out)
            if other < fault:
                fault = other
        faults[part] = fault


@compiled(parallel=True)
def _importance_parallel(
    chunk: Any,
    groups: Any,
    shares: Any,
    features: Any,
    labels: Any,
    prototypes: Any,
    epsilon: Any,
    out: Any,
    faults: Any,
) -> None:
    for index in prange(faults.shape[0]):
        part = np.int64(index)  # the index is unsigned, and would compile the parts once more
        _importance_parts(
            part, part + 1, chunk, groups, shares, features, labels, prototypes, epsilon, out, faults
        )


@compiled
def _count_parts(first: Any, last: Any, chunk: Any, groups: Any, counts: Any, faults: Any) -> None:
    """Count the rows of each group in each of some chunks."""
    for part in range(first, last):
        faults[part] = NO_FAULT
        stop = (part + 1) * chunk
        if stop > groups.shape[0]:
            stop = groups.shape[0]
        for row in range(part * chunk, stop):
            group = np.uint64(groups[row])
            if group >= np.uint64(counts.shape[1]):
                faults[part] = row * FAULT_KINDS + GROUP
                break
            counts[part, group] += 1


@compiled(parallel=True)
def _count_parallel(chunk: Any, groups: Any, counts: Any, faults: Any) -> None:
    for index in prange(faults.shape[0]):
        part = np.int64(index)  # the index is unsigned, and would compile the parts once more
        _count_parts(part, part + 1, chunk, groups, counts, faults)


COUNT = Kernel(_count_parts, _count_parallel)
"""(chunk, groups, counts, faults): counts[part, group] += rows of the group in that part."""

IMPORTANCE = Kernel(_importance_parts, _importance_parallel)
"""(chunk, groups, shares, features, labels, prototypes, epsilon, out, faults).

`out[row] = shares[groups[row]]` unless `shares` is empty; then, where features have columns, divided by the
similarity plus epsilon; epsilon 0 writes the similarity itself. A row of `prototypes` is as wide as the
features or wider and ends with the prototype's length, 0 for a missing one; its largest value is at most 1.
"""
