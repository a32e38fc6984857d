"""Vectors of 64 bytes in Numba kernels: the only place with LLVM instructions.

A `Lanes` value is what `load` takes from an array: 16 neighbouring float32 or int32, or
8 float64. It knows `+ - * /`, `abs` and comparisons, with another vector or with a
number, so that a kernel reads like its equations:

    for j in range(0, n, width(v)):
        voltage = load(alpha, j) * load(v, j) + load(current, j)
        store(v, j, select(voltage > 1.0, 0.0, voltage))

LLVM cuts a vector into what the CPU has: one register with AVX-512, two with AVX2, four
with SSE or NEON. Every function is ordinary NumPy when it is called from Python: that
is its portable twin, and a kernel's `py_func` runs on it. There are no bounds checks:
rows are padded to whole vectors (`padded`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.core.datamodel.registry import register_default
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import type_callable

__all__ = [
    "LANES",
    "describe_path",
    "emit",
    "load",
    "padded",
    "select",
    "store",
    "total",
    "width",
]

BYTES = 64
LANES = BYTES // 4
"""Rows are padded to a multiple of this many numbers, of either float type."""


def padded(n: int) -> int:
    """Return n, rounded up to whole vectors."""
    return -(-n // LANES) * LANES


def _host_has(*features: str) -> bool:
    host = llvm.get_host_cpu_features()
    return all(host.get(feature, False) for feature in features)


# The intrinsic came with LLVM 19; without AVX-512 it would go through memory.
HAS_COMPRESS = llvm.llvm_version_info[0] >= 19 and _host_has("avx512f", "popcnt")


def describe_path() -> str:
    """Return in words which instructions the kernels run on here."""
    sizes = {"avx512f": 512, "avx2": 256, "avx": 256, "sse2": 128, "neon": 128}
    bits = next((bits for name, bits in sizes.items() if _host_has(name)), 64)
    how = "compress instruction" if HAS_COMPRESS else "bit by bit"
    return f"{bits}-bit vectors, spikes listed by {how}"


# The functions of kernels, as NumPy has them.


def width(array: np.ndarray) -> int:
    """Return how many numbers of this array a vector holds."""
    return BYTES // array.dtype.itemsize


def load(array: np.ndarray, index: Any) -> np.ndarray:
    """Return the vector that starts at an index (a number, or a tuple of them)."""
    *rows, j = index if isinstance(index, tuple) else (index,)
    return array[(*rows, slice(j, j + width(array)))].copy()


def store(array: np.ndarray, index: Any, value: Any) -> None:
    """Write a vector, or a number into all of its lanes. Mutates `array`."""
    *rows, j = index if isinstance(index, tuple) else (index,)
    array[(*rows, slice(j, j + width(array)))] = value


def select(mask: np.ndarray, yes: Any, no: Any) -> np.ndarray:
    """Return `yes` where the mask is true, else `no`; one of them is a vector."""
    kind = next(v.dtype for v in (yes, no) if isinstance(v, np.ndarray))
    return np.where(mask, yes, no).astype(kind)


def total(vector: np.ndarray) -> Any:
    """Return the sum of the lanes, halves first: (a + c) + (b + d)."""
    while vector.size > 1:
        half = vector.size // 2
        vector = vector[:half] + vector[half:]
    return vector[0]


def emit(mask: np.ndarray, first: int, array: np.ndarray, end: int) -> int:
    """Append `first` + lane for all lanes of a mask to a list; return its new end.

    `array` is a flat int32 array with room for a whole mask behind `end`: the entries
    after the new end are arbitrary. Mutates `array`.
    """
    (lanes,) = np.nonzero(mask)
    array[end : end + lanes.size] = first + lanes
    return end + int(lanes.size)


# The type that they have in compiled code.


class Lanes(types.Type):
    """A vector of one dtype in a register; of booleans: the result of a comparison."""

    def __init__(self, dtype: Any, size: int) -> None:
        self.dtype, self.size = dtype, size
        super().__init__(name=f"Lanes({dtype} x {size})")

    def mask(self) -> Lanes:
        """Return the type of a comparison of two such vectors."""
        return Lanes(types.boolean, self.size)


def _llvm_type(lanes: Lanes) -> ir.VectorType:
    kinds = {
        types.float32: ir.FloatType(),
        types.float64: ir.DoubleType(),
        types.int32: ir.IntType(32),
        types.boolean: ir.IntType(1),
    }
    return ir.VectorType(kinds[lanes.dtype], lanes.size)


@register_default(Lanes)
class _LanesModel(PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, _llvm_type(lanes))


def _lanes_of(array: Any) -> Lanes | None:
    known = (types.float32, types.float64, types.int32)
    if isinstance(array, types.Array) and array.dtype in known and array.layout == "C":
        return Lanes(array.dtype, BYTES * 8 // array.dtype.bitwidth)
    return None


def _spread(builder: Any, scalar: ir.Value, like: ir.VectorType) -> ir.Value:
    """Return a vector with the scalar in all lanes."""
    undefined = ir.Constant(like, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), like.count), None)
    return builder.shuffle_vector(one, undefined, first)


@lower_cast(types.Number, Lanes)
def _cast_number(context, builder, source, target, value):
    scalar = context.cast(builder, value, source, target.dtype)
    return _spread(builder, scalar, _llvm_type(target))


def _pointer(context, builder, array_type, array, index_type, index):
    """Return a pointer to the vector at an index."""
    struct = context.make_array(array_type)(context, builder, array)
    if isinstance(index_type, types.BaseTuple):
        parts = cgutils.unpack_tuple(builder, index, len(index_type))
        kinds = list(index_type)
    else:
        parts, kinds = [index], [index_type]
    parts = [
        context.cast(builder, part, kind, types.intp)
        for part, kind in zip(parts, kinds, strict=True)
    ]
    shape = cgutils.unpack_tuple(builder, struct.shape, array_type.ndim)
    strides = cgutils.unpack_tuple(builder, struct.strides, array_type.ndim)
    place = cgutils.get_item_pointer2(
        context, builder, struct.data, shape, strides, array_type.layout, parts
    )
    lanes = _lanes_of(array_type)
    return builder.bitcast(place, _llvm_type(lanes).as_pointer())


def _alignment(array_type: Any) -> int:
    return array_type.dtype.bitwidth // 8


@type_callable(width)
def _type_width(context):
    return lambda array: types.intp if _lanes_of(array) else None


@lower_builtin(width, types.Array)
def _width(context, builder, sig, args):
    return ir.Constant(ir.IntType(64), _lanes_of(sig.args[0]).size)


def _fits(array: Any, index: Any) -> bool:
    n_indices = len(index) if isinstance(index, types.BaseTuple) else 1
    return _lanes_of(array) is not None and array.ndim == n_indices


@type_callable(load)
def _type_load(context):
    return lambda array, index: _lanes_of(array) if _fits(array, index) else None


@lower_builtin(load, types.Array, types.Any)
def _load(context, builder, sig, args):
    array, index = sig.args
    place = _pointer(context, builder, array, args[0], index, args[1])
    return builder.load(place, align=_alignment(array))


@type_callable(store)
def _type_store(context):
    def typer(array, index, value):
        good = isinstance(value, types.Number) or value == _lanes_of(array)
        return types.none if good and _fits(array, index) else None

    return typer


@lower_builtin(store, types.Array, types.Any, types.Any)
def _store(context, builder, sig, args):
    array, index, value = sig.args
    place = _pointer(context, builder, array, args[0], index, args[1])
    vector = context.cast(builder, args[2], value, _lanes_of(array))
    builder.store(vector, place, align=_alignment(array))
    return context.get_dummy_value()


def _common(a: Any, b: Any) -> Lanes | None:
    """Return the vector type of an operation on two vectors, or vector and number."""
    for one, other in ((a, b), (b, a)):
        fits = isinstance(other, types.Number) or other == one
        if isinstance(one, Lanes) and one.dtype != types.boolean and fits:
            return one
    return None


def _vectors(context, builder, sig, args, lanes):
    return [
        context.cast(builder, value, kind, lanes)
        for kind, value in zip(sig.args, args, strict=True)
    ]


def _binary(function: Callable, on_floats: str, on_integers: str | None) -> None:
    """Make an operator known to compiled code."""
    compares = on_floats.startswith(("<", ">", "!", "="))

    @infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            lanes = _common(*args) if len(args) == 2 else None
            if lanes is None or (lanes.dtype == types.int32 and not on_integers):
                return None
            return signature(lanes.mask() if compares else lanes, *args)

    def lower(context, builder, sig, args):
        lanes = _common(*sig.args)
        a, b = _vectors(context, builder, sig, args, lanes)
        is_float = lanes.dtype != types.int32
        if compares:
            test = builder.fcmp_unordered if on_floats == "!=" else builder.fcmp_ordered
            test = test if is_float else builder.icmp_signed
            return test(on_floats, a, b)
        return getattr(builder, on_floats if is_float else on_integers)(a, b)

    for kinds in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(function, *kinds)(lower)


for _function, _of_floats, _of_integers in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", None),
    (operator.gt, ">", ">"),
    (operator.lt, "<", "<"),
    (operator.ne, "!=", "!="),
):
    _binary(_function, _of_floats, _of_integers)
_binary(operator.iadd, "fadd", "add")
_binary(operator.isub, "fsub", "sub")
_binary(operator.imul, "fmul", "mul")


def _intrinsic(builder, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
    kind = ir.FunctionType(result, [value.type for value in args])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, args)


def _suffix(lanes: Lanes) -> str:
    return f"v{lanes.size}{'f32' if lanes.dtype == types.float32 else 'f64'}"


@infer_global(abs)
class _AbsTemplate(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Lanes) and isinstance(args[0].dtype, types.Float):
            return signature(args[0], args[0])
        return None


@lower_builtin(abs, Lanes)
def _abs(context, builder, sig, args):
    name = f"llvm.fabs.{_suffix(sig.args[0])}"
    return _intrinsic(builder, name, args[0].type, args[0])


@type_callable(select)
def _type_select(context):
    def typer(mask, yes, no):
        lanes = _common(yes, no)
        return lanes if lanes is not None and mask == lanes.mask() else None

    return typer


@lower_builtin(select, Lanes, types.Any, types.Any)
def _select(context, builder, sig, args):
    lanes = sig.return_type
    values = zip(sig.args[1:], args[1:], strict=True)
    yes, no = (context.cast(builder, value, kind, lanes) for kind, value in values)
    return builder.select(args[0], yes, no)


@type_callable(total)
def _type_total(context):
    return lambda vector: vector.dtype if isinstance(vector, Lanes) else None


@lower_builtin(total, Lanes)
def _total(context, builder, sig, args):
    vector, size = args[0], sig.args[0].size
    is_float = isinstance(sig.args[0].dtype, types.Float)
    while size > 1:
        size //= 2
        index = ir.VectorType(ir.IntType(32), size)
        low, high = (
            builder.shuffle_vector(vector, vector, ir.Constant(index, list(half)))
            for half in (range(size), range(size, 2 * size))
        )
        vector = (builder.fadd if is_float else builder.add)(low, high)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


@type_callable(emit)
def _type_emit(context):
    def typer(mask, first, array, end):
        is_mask = isinstance(mask, Lanes) and mask.dtype == types.boolean
        is_list = isinstance(array, types.Array) and array.dtype == types.int32
        return types.intp if is_mask and is_list and array.ndim == 1 else None

    return typer


@lower_builtin(emit, Lanes, types.Integer, types.Array, types.Integer)
def _emit(context, builder, sig, args):
    mask, first, array, end = args
    size = sig.args[0].size
    i32, i64 = ir.IntType(32), ir.IntType(64)
    bits = builder.bitcast(mask, ir.IntType(size))
    first = context.cast(builder, first, sig.args[1], types.int32)
    end = context.cast(builder, end, sig.args[3], types.intp)
    struct = context.make_array(sig.args[2])(context, builder, array)
    if HAS_COMPRESS:
        lanes = ir.VectorType(i32, size)
        numbers = ir.Constant(lanes, list(range(size)))
        numbers = builder.add(numbers, _spread(builder, first, lanes))
        undefined = ir.Constant(lanes, ir.Undefined)
        name = f"llvm.experimental.vector.compress.v{size}i32"
        packed = _intrinsic(builder, name, lanes, numbers, mask, undefined)
        place = builder.gep(struct.data, [end])
        place = builder.bitcast(place, lanes.as_pointer())
        builder.store(packed, place, align=4)
        count = _intrinsic(builder, f"llvm.ctpop.i{size}", bits.type, bits)
        return builder.add(end, builder.zext(count, i64))
    # One turn per set bit, lowest first.
    left = cgutils.alloca_once_value(builder, builder.zext(bits, i32))
    place = cgutils.alloca_once_value(builder, end)
    start = builder.append_basic_block("emit")
    body = builder.append_basic_block("emit.one")
    done = builder.append_basic_block("emit.done")
    builder.branch(start)
    builder.position_at_end(start)
    zero = ir.Constant(i32, 0)
    builder.cbranch(builder.icmp_unsigned("!=", builder.load(left), zero), body, done)
    builder.position_at_end(body)
    rest, now = builder.load(left), builder.load(place)
    false = ir.Constant(ir.IntType(1), 0)
    lane = _intrinsic(builder, "llvm.cttz.i32", i32, rest, false)
    builder.store(builder.add(first, lane), builder.gep(struct.data, [now]))
    lower_bits = builder.sub(rest, ir.Constant(i32, 1))
    builder.store(builder.and_(rest, lower_bits), left)
    builder.store(builder.add(now, ir.Constant(i64, 1)), place)
    builder.branch(start)
    builder.position_at_end(done)
    return builder.load(place)
