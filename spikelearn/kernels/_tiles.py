"""More names of `kernels.vector` in compiled code: rows of a block, powers of two.

Rows are a Numba tuple of vectors, which LLVM keeps in registers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_getattr
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import type_callable

from spikelearn.kernels import vector
from spikelearn.kernels._llvm import (
    I64,
    Bare,
    Lanes,
    _complete,
    _elementwise,
    _host_has,
    _lanes_of,
    _llvm_type,
    _pointer,
    _spread,
)

# Rows and vectors of a block whose sums, with the vectors and the numbers that they are
# made of, fit the registers: with AVX-512 20 + 4 + 5 of 32, with AVX2, where a vector
# takes two, 10 + 2 + 1 of 16. (A sixth row spills with AVX-512, and costs up to 40 %.)
TILE_ROWS, TILE_VECTORS = 5, 4 if _host_has("avx512f") else 1

# By the bits of a float: the bits of its fraction, and the bias of its exponent.
FLOAT_PARTS = {32: (23, 127), 64: (52, 1023)}


def _is_floats(x: Any) -> bool:
    return isinstance(x, Lanes) and isinstance(x.dtype, types.Float)


@type_callable(vector.nearest)
def _type_nearest(context):
    return lambda x: x if _is_floats(x) else None


@lower_builtin(vector.nearest, Lanes)
def _nearest(context, builder, sig, args):
    return _elementwise("rint", builder, sig, args)


@type_callable(vector.power_of_two)
def _type_power_of_two(context):
    return lambda n: n if _is_floats(n) else None


@lower_builtin(vector.power_of_two, Lanes)
def _power_of_two(context, builder, sig, args):
    """Write n + bias into the exponent of a float.

    Added to a number whose last bit counts 1, n + bias stands in the last bits of the
    sum; a NaN ends in some number, never in an undefined one.
    """
    bits = sig.args[0].dtype.bitwidth
    fraction, bias = FLOAT_PARTS[bits]
    vectors = _llvm_type(sig.args[0])
    whole = ir.VectorType(ir.IntType(bits), vectors.count)

    def constant(kind, value):
        return ir.Constant(kind, [value] * kind.count)

    offset = constant(vectors, 1.5 * 2.0**fraction + bias)
    last_bits = builder.bitcast(builder.fadd(args[0], offset), whole)
    exponent = builder.shl(last_bits, constant(whole, fraction))
    return builder.bitcast(exponent, vectors)


@type_callable(vector.power_series)
def _type_power_series(context):
    def typer(x, coefficients):
        numbers = isinstance(coefficients, types.UniTuple)
        fits = numbers and isinstance(coefficients.dtype, types.Float)
        return x if _is_floats(x) and fits else None

    return typer


@lower_builtin(vector.power_series, Lanes, types.UniTuple)
def _power_series(context, builder, sig, args):
    lanes, kind = sig.args[0], sig.args[1].dtype
    *others, total = (
        context.cast(builder, number, kind, lanes)
        for number in cgutils.unpack_tuple(builder, args[1])
    )
    for number in reversed(others):
        total = _multiply_add(builder, args[0], total, number)
    return total


@infer_getattr
class _LanesAttributes(AttributeTemplate):
    key = Lanes

    def resolve_size(self, lanes):
        return types.intp


@lower_getattr(Lanes, "size")
def _get_size(context, builder, kind, value):
    return ir.Constant(I64, kind.size)


# Rows of a block.


def _is_rows(value: Any) -> bool:
    return isinstance(value, types.UniTuple) and isinstance(value.dtype, Lanes)


def _fits(array: Any, index: Any, axis: Any, rows: Any) -> bool:
    literal = isinstance(axis, types.IntegerLiteral)
    if not (literal and _is_rows(rows) and _complete(array, index)):
        return False
    return array.dtype == rows.dtype.dtype


def _stride(context, builder, kind, value, axis):
    """Return how many numbers lie between neighbours along an axis."""
    array = cgutils.create_struct_proxy(kind)(context, builder, value=value)
    stride = ir.Constant(I64, 1)
    for extent in cgutils.unpack_tuple(builder, array.shape)[axis + 1 :]:
        stride = builder.mul(stride, extent, flags=["nsw"])
    return stride


def _places(context, builder, sig, args, axis, n_rows):
    """Return pointers to the elements at an index and further on along an axis.

    `sig` and `args` begin with array and index.
    """
    stride = _stride(context, builder, sig.args[0], args[0], axis)
    places = [_pointer(context, builder, sig, args)]
    for _ in range(1, n_rows):
        places.append(builder.gep(places[-1], [stride]))
    return places


@type_callable(vector.zero_rows)
def _type_zero_rows(context):
    def typer(array, n_rows, size):
        if isinstance(size, types.IntegerLiteral):
            size = _lanes_of(array, size.literal_value)
        if isinstance(size, Lanes) and isinstance(n_rows, types.IntegerLiteral):
            return types.UniTuple(size, n_rows.literal_value)
        return None

    return typer


@lower_builtin(vector.zero_rows, Bare, types.Integer, types.Any)
def _zero_rows(context, builder, sig, args):
    return ir.Constant(context.get_value_type(sig.return_type), None)


@type_callable(vector.load_rows)
def _type_load_rows(context):
    def typer(array, index, axis, like):
        return like if _fits(array, index, axis, like) else None

    return typer


@lower_builtin(vector.load_rows, Bare, types.BaseTuple, types.Integer, types.UniTuple)
def _load_rows(context, builder, sig, args):
    axis, rows = sig.args[2].literal_value, sig.return_type
    pointer = _llvm_type(rows.dtype).as_pointer()
    align = sig.args[0].dtype.bitwidth // 8
    values = [
        builder.load(builder.bitcast(place, pointer), align=align)
        for place in _places(context, builder, sig, args, axis, rows.count)
    ]
    return context.make_tuple(builder, rows, values)


@type_callable(vector.store_rows)
def _type_store_rows(context):
    def typer(array, index, axis, rows):
        return types.none if _fits(array, index, axis, rows) else None

    return typer


@lower_builtin(vector.store_rows, Bare, types.BaseTuple, types.Integer, types.UniTuple)
def _store_rows(context, builder, sig, args):
    axis, rows = sig.args[2].literal_value, sig.args[3]
    pointer = _llvm_type(rows.dtype).as_pointer()
    align = sig.args[0].dtype.bitwidth // 8
    places = _places(context, builder, sig, args, axis, rows.count)
    values = cgutils.unpack_tuple(builder, args[3])
    for place, value in zip(places, values, strict=True):
        builder.store(value, builder.bitcast(place, pointer), align=align)
    return context.get_dummy_value()


@type_callable(vector.add_products)
def _type_add_products(context):
    def typer(rows, left, index, axis, along, terms, right, start):
        literal = isinstance(along, types.IntegerLiteral) and _are_terms(terms)
        fits = literal and _fits(left, index, axis, rows) and right.ndim == 1
        return rows if fits and right.dtype == left.dtype else None

    return typer


def _are_terms(terms: Any) -> bool:
    if not isinstance(terms, types.BaseTuple):
        return isinstance(terms, types.Integer)
    numbers, *ends = terms.types
    is_list = isinstance(numbers, Bare) and numbers.dtype == types.int32
    return is_list and numbers.ndim == 1 and len(ends) == 2


@lower_builtin(
    vector.add_products,
    types.UniTuple,
    Bare,
    types.BaseTuple,
    types.Integer,
    types.Integer,
    types.Any,
    Bare,
    types.Integer,
)
def _add_products(context, builder, sig, args):
    rows, of_left = sig.args[0], sig.replace(args=sig.args[1:3])
    axis, along = (kind.literal_value for kind in sig.args[3:5])
    n_terms, number = _terms(context, builder, sig.args[5], args[5])
    start = context.cast(builder, args[7], sig.args[7], types.intp)
    lanes = _llvm_type(rows.dtype)
    proxy = cgutils.create_struct_proxy(sig.args[6])
    right = proxy(context, builder, value=args[6]).data
    left = _places(context, builder, of_left, args[1:3], axis, rows.count)
    stride = _stride(context, builder, sig.args[1], args[1], along)
    sums = [
        cgutils.alloca_once_value(builder, row)
        for row in cgutils.unpack_tuple(builder, args[0])
    ]
    with cgutils.for_range(builder, n_terms) as loop:
        k = number(loop.index)
        offset = builder.mul(k, ir.Constant(I64, lanes.count), flags=["nsw"])
        place = builder.gep(right, [builder.add(start, offset, flags=["nsw"])])
        place = builder.bitcast(place, lanes.as_pointer())
        term = builder.load(place, align=rows.dtype.dtype.bitwidth // 8)
        offset = builder.mul(k, stride, flags=["nsw"])
        for place, total in zip(left, sums, strict=True):
            factor = builder.load(builder.gep(place, [offset]))
            factor = _spread(builder, factor, lanes)
            new = _multiply_add(builder, factor, term, builder.load(total))
            builder.store(new, total)
    return context.make_tuple(builder, rows, [builder.load(total) for total in sums])


def _terms(context, builder, kind, value):
    """Return how many terms there are, and which number the i-th one has."""
    if isinstance(kind, types.Integer):
        return context.cast(builder, value, kind, types.intp), lambda i: i
    array, *ends = cgutils.unpack_tuple(builder, value)
    begin, end = (
        context.cast(builder, each, of, types.intp)
        for each, of in zip(ends, kind.types[1:], strict=True)
    )
    proxy = cgutils.create_struct_proxy(kind.types[0])
    data = proxy(context, builder, value=array).data
    first = builder.gep(data, [begin])

    def number(i):
        return builder.sext(builder.load(builder.gep(first, [i])), I64)

    return builder.sub(end, begin), number


def _multiply_add(builder, a, b, c):
    """Return a b + c in one instruction where the CPU has one."""
    bits = 32 if isinstance(a.type.element, ir.FloatType) else 64
    name = f"llvm.fmuladd.v{a.type.count}f{bits}"
    kind = ir.FunctionType(a.type, [a.type] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, (a, b, c))
