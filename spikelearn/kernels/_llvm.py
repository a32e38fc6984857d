"""What the names of `kernels.vector` mean in compiled code: the only LLVM here."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel, StructModel
from numba.core.datamodel.registry import register_default
from numba.core.imputils import lower_builtin, lower_cast, lower_getattr
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
    signature,
)
from numba.extending import type_callable

from spikelearn.kernels import vector

__all__ = ["describe_path"]

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


def _host_has(*features: str) -> bool:
    host = llvm.get_host_cpu_features()
    return all(host.get(feature, False) for feature in features)


# The intrinsic came with LLVM 19; without AVX-512 it would go through memory.
HAS_COMPRESS = llvm.llvm_version_info[0] >= 19 and _host_has("avx512f", "popcnt")


def describe_path() -> str:
    """Return in words which instructions the kernels run on here."""
    sizes = {"avx512f": 512, "avx2": 256, "avx": 256, "sse2": 128, "neon": 128}
    bits = next((bits for name, bits in sizes.items() if _host_has(name)), 64)
    how = "by compress instruction" if HAS_COMPRESS else "bit by bit"
    return f"{bits}-bit vectors, spikes listed {how}"


# Bare arrays.


class Bare(types.Type):
    """A C-contiguous array without its owner."""

    def __init__(self, dtype: Any, ndim: int) -> None:
        self.dtype, self.ndim = dtype, ndim
        super().__init__(name=f"Bare({dtype}, {ndim})")


@register_default(Bare)
class _BareModel(StructModel):
    def __init__(self, manager: Any, array: Bare) -> None:
        shape = types.UniTuple(types.intp, array.ndim)
        members = [("data", types.CPointer(array.dtype)), ("shape", shape)]
        super().__init__(manager, array, members)


def _bare_type(value: Any) -> Any:
    if isinstance(value, types.Array) and value.layout == "C":
        return Bare(value.dtype, value.ndim)
    if isinstance(value, types.BaseNamedTuple):
        fields = [_bare_type(field) for field in value.types]
        return types.NamedTuple(fields, value.instance_class)
    return value


def _make_bare(context, builder, kind, value):
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        bare = cgutils.create_struct_proxy(_bare_type(kind))(context, builder)
        bare.data, bare.shape = array.data, array.shape
        return bare._getvalue()
    if isinstance(kind, types.BaseNamedTuple):
        fields = cgutils.unpack_tuple(builder, value, len(kind.types))
        pairs = zip(kind.types, fields, strict=True)
        fields = [_make_bare(context, builder, *pair) for pair in pairs]
        return context.make_tuple(builder, _bare_type(kind), fields)
    return value


@type_callable(vector.bare)
def _type_bare(context):
    return _bare_type


@lower_builtin(vector.bare, types.Any)
def _bare(context, builder, sig, args):
    return _make_bare(context, builder, sig.args[0], args[0])


@type_callable(vector.bare_rows)
def _type_bare_rows(context):
    def typer(array):
        is_matrix = isinstance(array, types.Array) and array.ndim == 2
        return Bare(array.dtype, 2) if is_matrix else None

    return typer


@lower_builtin(vector.bare_rows, types.Array)
def _bare_rows(context, builder, sig, args):
    array = context.make_array(sig.args[0])(context, builder, args[0])
    rows, _ = cgutils.unpack_tuple(builder, array.shape)
    stride, _ = cgutils.unpack_tuple(builder, array.strides)
    distance = builder.sdiv(stride, ir.Constant(I64, sig.args[0].dtype.bitwidth // 8))
    bare = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    bare.data = array.data
    bare.shape = context.make_tuple(
        builder, types.UniTuple(types.intp, 2), [rows, distance]
    )
    return bare._getvalue()


@infer_getattr
class _BareAttributes(AttributeTemplate):
    key = Bare

    def resolve_shape(self, array):
        return types.UniTuple(types.intp, array.ndim)

    def resolve_size(self, array):
        return types.intp

    def resolve_dtype(self, array):
        return types.DType(array.dtype)


def _shape(context, builder, kind, value):
    return cgutils.create_struct_proxy(kind)(context, builder, value=value).shape


@lower_getattr(Bare, "shape")
def _get_shape(context, builder, kind, value):
    return _shape(context, builder, kind, value)


@lower_getattr(Bare, "size")
def _get_size(context, builder, kind, value):
    size = ir.Constant(I64, 1)
    for extent in cgutils.unpack_tuple(builder, _shape(context, builder, kind, value)):
        size = builder.mul(size, extent)
    return size


@lower_getattr(Bare, "dtype")
def _get_dtype(context, builder, kind, value):
    return context.get_dummy_value()


def _pointer(context, builder, sig, args):
    """Return a pointer to an element; sig and args begin with array and index."""
    kind, index_kind = sig.args[:2]
    array = cgutils.create_struct_proxy(kind)(context, builder, value=args[0])
    parts, kinds = [args[1]], [index_kind]
    if isinstance(index_kind, types.BaseTuple):
        parts, kinds = cgutils.unpack_tuple(builder, args[1]), list(index_kind)
    extents = cgutils.unpack_tuple(builder, array.shape)
    place = ir.Constant(I64, 0)
    for part, part_kind, extent in zip(parts, kinds, extents, strict=True):
        part = context.cast(builder, part, part_kind, types.intp)
        place = builder.add(builder.mul(place, extent, flags=["nsw"]), part)
    return builder.gep(array.data, [place])


def _complete(array: Any, index: Any) -> bool:
    parts = list(index) if isinstance(index, types.BaseTuple) else [index]
    whole = all(isinstance(part, types.Integer) for part in parts)
    return isinstance(array, Bare) and whole and len(parts) == array.ndim


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args, kws):
        if _complete(*args):
            return signature(args[0].dtype, *args)
        return None


@lower_builtin(operator.getitem, Bare, types.Any)
def _getitem(context, builder, sig, args):
    return builder.load(_pointer(context, builder, sig, args))


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args, kws):
        array, index, _ = args
        if _complete(array, index):
            return signature(types.none, array, index, array.dtype)
        return None


@lower_builtin(operator.setitem, Bare, types.Any, types.Any)
def _setitem(context, builder, sig, args):
    builder.store(args[2], _pointer(context, builder, sig, args))


# Vectors.


class Lanes(types.Type):
    """Numbers side by side in registers; of booleans: the result of a comparison."""

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
        types.int32: I32,
        types.uint8: ir.IntType(8),
        types.boolean: I1,
    }
    return ir.VectorType(kinds[lanes.dtype], lanes.size)


@register_default(Lanes)
class _LanesModel(PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, _llvm_type(lanes))


def _lanes_of(array: Any, n_vectors: int = 1) -> Any:
    known = (types.float32, types.float64, types.int32, types.uint8)
    if isinstance(array, Bare) and array.dtype in known:
        one = min(vector.BYTES * 8 // array.dtype.bitwidth, vector.LANES)
        return Lanes(array.dtype, one * n_vectors)
    return None


def _spread(builder: Any, scalar: ir.Value, like: ir.VectorType) -> ir.Value:
    """Return a vector with the scalar in all lanes."""
    undefined = ir.Constant(like, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    first = ir.Constant(ir.VectorType(I32, like.count), None)
    return builder.shuffle_vector(one, undefined, first)


@lower_cast(types.Number, Lanes)
def _cast_number(context, builder, source, target, value):
    scalar = context.cast(builder, value, source, target.dtype)
    return _spread(builder, scalar, _llvm_type(target))


@type_callable(vector.width)
def _type_width(context):
    return lambda array: types.intp if _lanes_of(array) else None


@lower_builtin(vector.width, Bare)
def _width(context, builder, sig, args):
    return ir.Constant(I64, _lanes_of(sig.args[0]).size)


@type_callable(vector.load)
def _type_load(context):
    def typer(array, index, size=None):
        one = _lanes_of(array)
        if one is None or not _complete(array, index):
            return None
        if isinstance(size, types.IntegerLiteral):
            return _lanes_of(array, size.literal_value)
        if isinstance(size, Lanes):
            return Lanes(one.dtype, size.size)
        return one if size is None else None

    return typer


@lower_builtin(vector.load, Bare, types.Any)
@lower_builtin(vector.load, Bare, types.Any, types.Any)
def _load(context, builder, sig, args):
    place = _pointer(context, builder, sig, args)
    place = builder.bitcast(place, _llvm_type(sig.return_type).as_pointer())
    return builder.load(place, align=sig.args[0].dtype.bitwidth // 8)


@type_callable(vector.store)
@type_callable(vector.stream)
def _type_store(context):
    def typer(array, index, value):
        if _lanes_of(array) is None or not _complete(array, index):
            return None
        fits = isinstance(value, Lanes) and value.dtype == array.dtype
        return types.none if fits or isinstance(value, types.Number) else None

    return typer


@lower_builtin(vector.store, Bare, types.Any, types.Any)
def _store(context, builder, sig, args):
    _write(context, builder, sig, args, align=sig.args[0].dtype.bitwidth // 8)
    return context.get_dummy_value()


@lower_builtin(vector.stream, Bare, types.Any, types.Any)
def _stream(context, builder, sig, args):
    instruction = _write(context, builder, sig, args, align=vector.BYTES)
    yes = builder.module.add_metadata([ir.Constant(I32, 1)])
    instruction.set_metadata("nontemporal", yes)
    return context.get_dummy_value()


def _write(context, builder, sig, args, align):
    array, _, kind = sig.args
    lanes = kind if isinstance(kind, Lanes) else _lanes_of(array)
    place = _pointer(context, builder, sig, args)
    place = builder.bitcast(place, _llvm_type(lanes).as_pointer())
    value = context.cast(builder, args[2], kind, lanes)
    return builder.store(value, place, align=align)


@type_callable(vector.prefetch)
def _type_prefetch(context):
    def typer(array, index):
        is_list = isinstance(array, types.Array) and array.ndim == 1
        of_list = is_list and isinstance(index, types.Integer)
        return types.none if of_list or _complete(array, index) else None

    return typer


@lower_builtin(vector.prefetch, types.Any, types.Any)
def _prefetch(context, builder, sig, args):
    if isinstance(sig.args[0], types.Array):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.gep(data, [args[1]])
    else:
        place = _pointer(context, builder, sig, args)
    place = builder.bitcast(place, ir.IntType(8).as_pointer())
    read_often_data = [ir.Constant(I32, number) for number in (0, 3, 1)]
    kind = ir.FunctionType(ir.VoidType(), [place.type, I32, I32, I32])
    name = "llvm.prefetch.p0"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(function, [place, *read_often_data])
    return context.get_dummy_value()


def _common(a: Any, b: Any) -> Any:
    """Return the vector type of an operation on two vectors, or vector and number."""
    for one, other in ((a, b), (b, a)):
        fits = isinstance(other, types.Number) or other == one
        if isinstance(one, Lanes) and one.dtype != types.boolean and fits:
            return one
    return None


def _binary(function: Callable, on_floats: str, on_integers: str) -> None:
    """Make an operator known to compiled code."""
    compares = on_floats.startswith(("<", ">", "!", "="))

    @infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            lanes = _common(*args) if len(args) == 2 else None
            if lanes is None:
                return None
            is_float = isinstance(lanes.dtype, types.Float)
            of_bytes = lanes.dtype == types.uint8 and on_integers != "!="
            if of_bytes or not (is_float or on_integers):
                return None
            return signature(lanes.mask() if compares else lanes, *args)

    def lower(context, builder, sig, args):
        lanes = _common(*sig.args)
        pairs = zip(args, sig.args, strict=True)
        a, b = (context.cast(builder, value, kind, lanes) for value, kind in pairs)
        is_float = isinstance(lanes.dtype, types.Float)
        if compares:
            test = builder.fcmp_unordered if on_floats == "!=" else builder.fcmp_ordered
            test = test if is_float else builder.icmp_signed
            return test(on_floats, a, b)
        return getattr(builder, on_floats if is_float else on_integers)(a, b)

    for kinds in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(function, *kinds)(lower)


for _function, _on_floats, _on_integers in (
    (operator.add, "fadd", "add"),
    (operator.iadd, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.isub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.imul, "fmul", "mul"),
    (operator.truediv, "fdiv", ""),
    (operator.gt, ">", ">"),
    (operator.lt, "<", "<"),
    (operator.ne, "!=", "!="),
):
    _binary(_function, _on_floats, _on_integers)


def _intrinsic(builder, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
    kind = ir.FunctionType(result, [value.type for value in args])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, args)


@infer_global(abs)
class _AbsTemplate(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Lanes) and isinstance(args[0].dtype, types.Float):
            return signature(args[0], args[0])
        return None


@lower_builtin(abs, Lanes)
def _abs(context, builder, sig, args):
    return _elementwise("fabs", builder, sig, args)


def _elementwise(name, builder, sig, args):
    kind = sig.return_type
    lanes = f"v{kind.size}" if isinstance(kind, Lanes) else ""
    bits = (kind.dtype if lanes else kind).bitwidth
    return _intrinsic(builder, f"llvm.{name}.{lanes}f{bits}", args[0].type, args[0])


@type_callable(vector.sqrt)
def _type_sqrt(context):
    def typer(x):
        dtype = x.dtype if isinstance(x, Lanes) else x
        return x if isinstance(dtype, types.Float) else None

    return typer


@lower_builtin(vector.sqrt, types.Any)
def _sqrt(context, builder, sig, args):
    return _elementwise("sqrt", builder, sig, args)


@type_callable(vector.select)
def _type_select(context):
    def typer(mask, yes, no):
        lanes = _common(yes, no)
        if lanes is not None:
            return lanes if mask == lanes.mask() else None
        return context.unify_types(yes, no) if mask == types.boolean else None

    return typer


@lower_builtin(vector.select, types.Any, types.Any, types.Any)
def _select(context, builder, sig, args):
    lanes = sig.return_type
    pairs = zip(args[1:], sig.args[1:], strict=True)
    yes, no = (context.cast(builder, value, kind, lanes) for value, kind in pairs)
    return builder.select(args[0], yes, no)


@type_callable(vector.zeros_like)
def _type_zeros_like(context):
    return lambda like: like if isinstance(like, Lanes) else None


@lower_builtin(vector.zeros_like, Lanes)
def _zeros_like(context, builder, sig, args):
    return ir.Constant(args[0].type, None)


@type_callable(vector.total)
def _type_total(context):
    return lambda lanes: lanes.dtype if isinstance(lanes, Lanes) else None


@lower_builtin(vector.total, Lanes)
def _total(context, builder, sig, args):
    value, size = args[0], sig.args[0].size
    is_float = isinstance(sig.args[0].dtype, types.Float)
    while size > 1:
        size //= 2
        index = ir.VectorType(I32, size)
        low, high = (
            builder.shuffle_vector(value, value, ir.Constant(index, list(half)))
            for half in (range(size), range(size, 2 * size))
        )
        value = (builder.fadd if is_float else builder.add)(low, high)
    return builder.extract_element(value, ir.Constant(I32, 0))


@type_callable(vector.emit)
def _type_emit(context):
    def typer(mask, first, array, end):
        is_mask = isinstance(mask, Lanes) and mask.dtype == types.boolean
        is_list = isinstance(array, Bare) and array.dtype == types.int32
        return types.intp if is_mask and is_list and array.ndim == 1 else None

    return typer


@lower_builtin(vector.emit, Lanes, types.Integer, Bare, types.Integer)
def _emit(context, builder, sig, args):
    mask, first, array, end = args
    size = sig.args[0].size
    first = context.cast(builder, first, sig.args[1], types.int32)
    end = context.cast(builder, end, sig.args[3], types.intp)
    proxy = cgutils.create_struct_proxy(sig.args[2])
    data = proxy(context, builder, value=array).data
    write = _emit_packed if HAS_COMPRESS else _emit_bit_by_bit
    for start in range(0, size, vector.LANES):
        lanes = range(start, min(start + vector.LANES, size))
        index = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
        part = builder.shuffle_vector(mask, mask, index)
        bits = builder.bitcast(part, ir.IntType(len(lanes)))
        here = builder.add(first, ir.Constant(I32, start))
        end = write(builder, part, bits, here, data, end)
    return end


def _emit_packed(builder, mask, bits, first, data, end):
    size = mask.type.count
    lanes = ir.VectorType(I32, size)
    numbers = ir.Constant(lanes, list(range(size)))
    numbers = builder.add(numbers, _spread(builder, first, lanes))
    rest = ir.Constant(lanes, ir.Undefined)
    name = f"llvm.experimental.vector.compress.v{size}i32"
    packed = _intrinsic(builder, name, lanes, numbers, mask, rest)
    place = builder.bitcast(builder.gep(data, [end]), lanes.as_pointer())
    builder.store(packed, place, align=4)
    count = _intrinsic(builder, f"llvm.ctpop.i{size}", bits.type, bits)
    return builder.add(end, builder.zext(count, I64))


def _emit_bit_by_bit(builder, mask, bits, first, data, end):
    """One turn per set bit, the lowest first."""
    left = cgutils.alloca_once_value(builder, builder.zext(bits, I32))
    place = cgutils.alloca_once_value(builder, end)
    start = builder.append_basic_block("emit")
    body = builder.append_basic_block("emit.one")
    done = builder.append_basic_block("emit.done")
    builder.branch(start)
    builder.position_at_end(start)
    some = builder.icmp_unsigned("!=", builder.load(left), ir.Constant(I32, 0))
    builder.cbranch(some, body, done)
    builder.position_at_end(body)
    rest, now = builder.load(left), builder.load(place)
    lane = _intrinsic(builder, "llvm.cttz.i32", I32, rest, ir.Constant(I1, 0))
    builder.store(builder.add(first, lane), builder.gep(data, [now]))
    others = builder.and_(rest, builder.sub(rest, ir.Constant(I32, 1)))
    builder.store(others, left)
    builder.store(builder.add(now, ir.Constant(I64, 1)), place)
    builder.branch(start)
    builder.position_at_end(done)
    return builder.load(place)


# What threads of a team tell each other.


def _shared(array: Any, index: Any) -> bool:
    return isinstance(array, Bare) and array.dtype == types.int64 and array.ndim == 1


@type_callable(vector.acquire)
def _type_acquire(context):
    return lambda array, index: types.int64 if _shared(array, index) else None


@lower_builtin(vector.acquire, Bare, types.Integer)
def _acquire(context, builder, sig, args):
    return builder.load_atomic(_pointer(context, builder, sig, args), "acquire", 8)


@type_callable(vector.release)
def _type_release(context):
    return lambda array, index, value: types.none if _shared(array, index) else None


@lower_builtin(vector.release, Bare, types.Integer, types.Integer)
def _release(context, builder, sig, args):
    value = context.cast(builder, args[2], sig.args[2], types.int64)
    place = _pointer(context, builder, sig, args)
    builder.store_atomic(value, place, "release", 8)
    return context.get_dummy_value()


@type_callable(vector.fetch_add)
def _type_fetch_add(context):
    return lambda array, index, value: types.int64 if _shared(array, index) else None


@lower_builtin(vector.fetch_add, Bare, types.Integer, types.Integer)
def _fetch_add(context, builder, sig, args):
    value = context.cast(builder, args[2], sig.args[2], types.int64)
    place = _pointer(context, builder, sig, args)
    return builder.atomic_rmw("add", place, value, "seq_cst")


@type_callable(vector.give_way)
def _type_give_way(context):
    return lambda: types.none


@lower_builtin(vector.give_way)
def _give_way(context, builder, sig, args):
    kind = ir.FunctionType(I32, [])
    yield_ = cgutils.get_or_insert_function(builder.module, kind, "sched_yield")
    builder.call(yield_, [])
    return context.get_dummy_value()
