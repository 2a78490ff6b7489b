"""The kernels of `importance`: group sizes, group balance, cosine similarity, and importance in one pass.

Sums over features run in 16 lanes, element j in lane j % 16, and the lanes are then added in halves (0 and 8,
1 and 9, ...): one order for all threads and processors, wide enough for any vector unit. LLVM may fuse
multiply and add, where the processor can, only for float32: the product of two is exact in float64, so that
nothing changes by it but the time.

Those sums are written in LLVM's own language, for plain Numba does not come near: whole lanes in registers
need what it lacks, vectors and a request for memory ahead. Of the bandwidth of reading (10^6 rows of 512
float32, 100 prototypes, 15 alternating runs of each, the middle half of them in brackets), on two threads
0.66 (0.59 to 0.77) and on one 0.61 (0.58 to 0.62); the fastest of eight plain forms with the same bits,
sums 16 places apart in an array, 0.30 (0.27 to 0.35) and 0.26 (0.24 to 0.27). In float64, of 5 * 10^5 rows,
0.77 beside 0.59 and 0.70 beside 0.54. Two or four rows at once made the plain form slower.

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

from .runtime import Kernel, compiled

__all__ = ["BALANCE", "COUNT", "FAULT_KINDS", "IMPORTANCE", "NO_FAULT"]

LANES = 16
AHEAD = 2**14  # bytes
FAULT_KINDS = 4
GROUP, LABEL, FEATURE = range(3)
NO_FAULT = 2**63 - 1
SAFE_FROM, SAFE_TO = 1e-280, 1e300  # sums of squares in here lost nothing; all of float32 are


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def _lane_sums(typing: Any, left: Any, i: Any, right: Any, j: Any) -> Any:
    """Return the sums of left[i] * right[j] and left[i] ** 2 over the columns of left that fill all lanes.

    What lies `AHEAD` in memory is asked into the second cache meanwhile: beside jumps to prototypes
    processors do not see that rows come in order.
    """
    signature = numba.types.UniTuple(numba.types.float64, 2)(left, i, right, j)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer, number, double = ir.IntType(64), ir.IntType(32), ir.DoubleType()
        byte = ir.IntType(8).as_pointer()
        wide = ir.VectorType(double, LANES)
        fetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )

        def row(position: int) -> tuple[Any, Any, Any]:
            """Address of the row, its columns, and the type of an element."""
            kind = signature.args[position]
            made = context.make_array(kind)(context, builder, arguments[position])
            columns = builder.extract_value(made.shape, 1)
            first = builder.gep(made.data, [builder.mul(arguments[position + 1], columns)])
            return first, columns, context.get_data_type(kind.dtype)

        def load(first: Any, kind: Any) -> Any:
            narrow = ir.VectorType(kind, LANES)
            address = builder.bitcast(builder.gep(first, [column]), narrow.as_pointer())
            vector = builder.load(address, align=4 if kind != double else 8)
            return builder.fpext(vector, wide) if kind != double else vector

        def sum_of(total: Any, left: Any, right: Any, *, is_exact: bool) -> Any:
            flags = ("contract",) if is_exact else ()
            return builder.fadd(total, builder.fmul(left, right, flags=flags), flags=flags)

        def fold(vector: Any) -> Any:
            count = LANES
            while count > 1:
                count //= 2
                picks = (list(range(count)), list(range(count, 2 * count)))
                nothing = ir.Constant(vector.type, ir.Undefined)
                low, high = (
                    builder.shuffle_vector(vector, nothing, ir.VectorType(number, count)(pick))
                    for pick in picks
                )
                vector = builder.fadd(low, high)
            return builder.extract_element(vector, number(0))

        (x, columns, x_kind), (y, _, y_kind) = row(0), row(2)
        stop = builder.and_(columns, integer(-LANES))
        entry = builder.block
        test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
        builder.branch(test)

        builder.position_at_end(test)
        column, dot, square = builder.phi(integer), builder.phi(wide), builder.phi(wide)
        builder.cbranch(builder.icmp_signed("<", column, stop), body, end)

        builder.position_at_end(body)
        later = builder.gep(builder.bitcast(builder.gep(x, [column]), byte), [integer(AHEAD)])
        builder.call(fetch, [later, number(0), number(2), number(1)])  # to read, second cache, data
        left_values, right_values = load(x, x_kind), load(y, y_kind)
        new_dot = sum_of(dot, left_values, right_values, is_exact=double not in (x_kind, y_kind))
        new_square = sum_of(square, left_values, left_values, is_exact=x_kind != double)
        new_column = builder.add(column, integer(LANES))
        builder.branch(test)

        zeros = wide([0.0] * LANES)
        for phi, before, after in (
            (column, integer(0), new_column),
            (dot, zeros, new_dot),
            (square, zeros, new_square),
        ):
            phi.add_incoming(before, entry)
            phi.add_incoming(after, body)
        builder.position_at_end(end)
        return context.make_tuple(builder, signature.return_type, [fold(dot), fold(square)])

    return signature, generate


@compiled(inner=True)
def _cosine_rows(
    start: Any,
    stop: Any,
    groups: Any,
    shares: Any,
    features: Any,
    labels: Any,
    prototypes: Any,
    lengths: Any,
    epsilon: Any,
    out: Any,
) -> Any:
    """Write the similarity of each row to its prototype, or the share of its group over that plus epsilon."""
    columns = features.shape[1]
    rest = columns - columns % LANES
    for row in range(start, stop):
        label = labels[row]
        if label < 0 or label >= lengths.shape[0]:
            return row * FAULT_KINDS + LABEL
        dot, square = _lane_sums(features, row, prototypes, label)
        for column in range(rest, columns):
            x = np.float64(features[row, column])
            dot += x * np.float64(prototypes[label, column])
            square += x * x
        cosine = 0.0
        if SAFE_FROM < square < SAFE_TO:
            if lengths[label] > 0:
                cosine = dot / (math.sqrt(square) * lengths[label])
        elif square != 0:
            return row * FAULT_KINDS + FEATURE
        similarity = (1 + cosine) * 0.5
        if similarity < 0:
            similarity = 0.0
        elif similarity > 1:
            similarity = 1.0
        if epsilon > 0:
            share = 1.0
            if shares.shape[0] > 0:
                group = np.uint64(groups[row])  # negative ones become large
                if group >= np.uint64(shares.shape[0]):
                    return row * FAULT_KINDS + GROUP
                share = shares[group]
            similarity = share / (similarity + epsilon)
        out[row] = similarity
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
    lengths: Any,
    epsilon: Any,
    out: Any,
    faults: Any,
) -> None:
    """Score the rows of some chunks, and note the first fault of each."""
    for part in range(first, last):
        start, stop = part * chunk, (part + 1) * chunk
        if stop > out.shape[0]:
            stop = out.shape[0]
        faults[part] = _cosine_rows(
            start, stop, groups, shares, features, labels, prototypes, lengths, epsilon, out
        )


@compiled(parallel=True)
def _importance_parallel(
    chunk: Any,
    groups: Any,
    shares: Any,
    features: Any,
    labels: Any,
    prototypes: Any,
    lengths: Any,
    epsilon: Any,
    out: Any,
    faults: Any,
) -> None:
    for index in prange(faults.shape[0]):
        part = np.int64(index)  # the index is unsigned, and would compile the parts once more
        _importance_parts(
            part, part + 1, chunk, groups, shares, features, labels, prototypes, lengths, epsilon, out, faults
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


@compiled
def _balance_parts(
    first: Any, last: Any, chunk: Any, groups: Any, shares: Any, out: Any, faults: Any
) -> None:
    """Write the share of each row's group, in some chunks."""
    for part in range(first, last):
        faults[part] = NO_FAULT
        stop = (part + 1) * chunk
        if stop > groups.shape[0]:
            stop = groups.shape[0]
        for row in range(part * chunk, stop):
            group = np.uint64(groups[row])
            if group >= np.uint64(shares.shape[0]):
                faults[part] = row * FAULT_KINDS + GROUP
                break
            out[row] = shares[group]


@compiled(parallel=True)
def _balance_parallel(chunk: Any, groups: Any, shares: Any, out: Any, faults: Any) -> None:
    for index in prange(faults.shape[0]):
        part = np.int64(index)  # as above
        _balance_parts(part, part + 1, chunk, groups, shares, out, faults)


COUNT = Kernel(_count_parts, _count_parallel)
"""(chunk, groups, counts, faults): counts[part, group] += rows of the group in that part."""

BALANCE = Kernel(_balance_parts, _balance_parallel)
"""(chunk, groups, shares, out, faults): out[row] = shares[groups[row]]."""

IMPORTANCE = Kernel(_importance_parts, _importance_parallel)
"""(chunk, groups, shares, features, labels, prototypes, lengths, epsilon, out, faults).

`out[row] = shares[groups[row]] / (similarity + epsilon)`; 1 takes the place of the share where there are no
shares, and epsilon 0 writes the similarity itself. Rows of `prototypes` are as wide as the features or wider;
the largest value is near 1. `lengths` are theirs, 0 for a missing one.
"""
