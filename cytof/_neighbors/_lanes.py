"""Squared distance of two rows in eight lanes: the order of the sum is fixed, the processor's wide registers are used.

A loop that adds into one number cannot be spread over the lanes of a register without changing the order of its sum,
and with it the last bit; the compiler is free to choose another width on another processor. So the lanes are written
down: feature f goes into lane f mod 8, lanes are added in pairs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["LANES", "squared"]

LANES = 8


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    number, place, columns = ir.FloatType(), ir.IntType(64), arguments[3]
    lanes = ir.VectorType(number, LANES)
    one, other = (builder.gep(array.data, [builder.mul(row, columns)]) for row in arguments[1:3])
    total = cgutils.alloca_once_value(builder, ir.Constant(lanes, [ir.Constant(number, 0.0)] * LANES))
    with cgutils.for_range(builder, builder.udiv(columns, ir.Constant(place, LANES))) as loop:
        offset = builder.mul(loop.index, ir.Constant(place, LANES))
        step = builder.fsub(*(_load(builder, row, offset, lanes) for row in (one, other)))
        builder.store(builder.fadd(builder.load(total), builder.fmul(step, step)), total)
    summed = builder.load(total)
    parts = [builder.extract_element(summed, ir.Constant(ir.IntType(32), lane)) for lane in range(LANES)]
    while len(parts) > 1:
        parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _load(builder: Any, row: Any, offset: Any, lanes: Any) -> Any:
    loaded = builder.load(builder.bitcast(builder.gep(row, [offset]), lanes.as_pointer()))
    loaded.align = 4
    return loaded


def _squared(_: Any, X: types.Type, i: types.Type, j: types.Type, d: types.Type) -> tuple[Any, Any]:
    """Return the squared Euclidean distance of the rows ``i`` and ``j`` of a float32 array with ``d`` columns.

    ``d`` is a multiple of 8 and the array C-contiguous (rows padded with zeros); nothing is checked. For kernels only.
    """
    return types.float32(X, i, j, d), _generate


squared: Any = intrinsic(_squared)
