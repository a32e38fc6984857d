"""Arrays that come from outside: checked and made NumPy arrays before work starts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from spikelearn.errors import InvalidValue, require

__all__ = ["host_array", "kernel_array", "transposed"]

NUMERIC = "buif"
# Codes of DLPack's device types for memory that the CPU can read.
CPU, CPU_PINNED = 1, 3
DEVICES = {2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 13: "CUDA"}


def host_array(value: Any, where: str) -> np.ndarray:
    """Return a value as a numeric NumPy array in the byte order of this machine.

    NumPy arrays in this byte order are returned as they are, read-only or not. Lists,
    tensors of torch and arrays of JAX on the CPU and everything else with `__array__`
    are converted.

    Raises
    ------
    InvalidValue
        If it is on another device, would lose its gradient or its mask, or is not
        real numbers.
    """
    if type(value) is not np.ndarray:
        value = _converted(value, where)
    if value.dtype.kind not in NUMERIC:
        hints = {"c": "Take its real part.", "O": "Are rows of different lengths?"}
        hint = hints.get(value.dtype.kind, "Integers, booleans and real numbers are.")
        require(False, where, "must be numeric", f"dtype {value.dtype}", hint)
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    return value


def _converted(value: Any, where: str) -> np.ndarray:
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if hasattr(value, "__dlpack_device__"):
        _require_cpu(value, where, kind)
    graph = getattr(value, "requires_grad", False)
    hint = "Pass .detach(); spikelearn computes gradients by its own rules."
    rule = "must be detached from the graph of another library"
    require(graph is not True, where, rule, f"{kind} that requires a gradient", hint)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        rule, hint = "must have no masked entries", "Pass .filled(0) or the like."
        require(False, where, rule, f"{value.mask.sum()} of them", hint)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        rule = "must be convertible to a NumPy array of numbers"
        detail = str(error).partition("\n")[0].rstrip(".")
        raise InvalidValue(f"{where} {rule}; got {kind}. ({detail}.)") from error


def _require_cpu(value: Any, where: str, kind: str) -> None:
    try:
        code, number = value.__dlpack_device__()
    except (BufferError, RuntimeError, TypeError, ValueError):
        return  # for example spread over devices; the conversion gathers or refuses it
    if int(code) not in (CPU, CPU_PINNED):
        device = f"{DEVICES.get(int(code), f'type {int(code)}')} device {number}"
        hint = "Copy it first: x.cpu() in torch, jax.device_get(x) in JAX."
        require(False, where, "must be on the CPU", f"{kind} on {device}", hint)


def kernel_array(array: np.ndarray) -> np.ndarray:
    """Return an array as kernels are compiled for it: contiguous, aligned, writeable.

    It is copied if it is not, since each such property would be another signature that
    has to be compiled.
    """
    return array if array.flags.carray else array.copy()


def transposed(got: Sequence[int], wanted: Sequence[int | None], name: str) -> str:
    """Return a hint if a shape would do with its axes in another order, else "".

    `wanted` has None where any length will do.
    """
    if len(got) != len(wanted):
        return ""
    for order in itertools.permutations(range(len(got))):
        if all(w in (None, got[k]) for k, w in zip(order, wanted, strict=True)):
            as_it_is = order == tuple(range(len(got)))
            return "" if as_it_is else f"Did you mean {name}.transpose{order}?"
    return ""
