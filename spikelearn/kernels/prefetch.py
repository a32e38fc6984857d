"""Ask the cache for memory that will be read soon; it changes no result.

Rows of a sparse matrix are read in the order of spikes, that no hardware can guess.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["prefetch"]

READ, KEEP, DATA = 0, 3, 1  # arguments of llvm.prefetch


@intrinsic
def prefetch(_context, array, index):
    """Fetch the cache line of array[index] of a contiguous array.

    Any index is harmless: the instruction never fails.
    """

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(
            context, builder, arguments[0]
        ).data
        pointer_type, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), pointer_type)
        shape = ir.FunctionType(ir.VoidType(), [pointer_type, i32, i32, i32])
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer_type], shape
        )
        builder.call(function, [pointer, i32(READ), i32(KEEP), i32(DATA)])
        return context.get_dummy_value()

    return types.void(array, types.uintp), generate
