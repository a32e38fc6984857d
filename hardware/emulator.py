"""The integer emulator: the definition of what a network description computes.

Time step t, with state zero before t = 0 and input `x[t]` acting at step t. All values
are integers; `>>` floors; `wrap32` keeps the low 32 bits; `clip` limits to
`+-(2**23 - 1)`; `s` are spikes, `m` mantissas, `e` the weight exponent of a block::

    dec(x, d)  = sign(x) * ((|x| * (4096 - d)) >> 12)
    shift(a,e) = wrap32(a << e) if e >= 0 else a >> -e      of the block sum
    a   = shift(m_in x[t], e_in) + shift(m_rec s[t-1], e_rec)
    u   = wrap24(wrap32(dec(u, du + 1) + wrap32(a << 6)))   one turn of 2**24 at most
    v   = clip(dec(v, dv) + u + (bias_mant << bias_exp) - r)
    r   = s[t-1] * (vth << 6) if reset is "subtract" else 0
    b   = clip(dec(b, db) + s[t-1] * (beta << 6))
    s   = (v > (vth << 6) + b) and rc == 0;   reset "zero": v = 0 where s
    rc  = refractory where s, else max(rc - 1, 0)
    c   = wrap24(wrap32(shift(m_out s[t], e_out) << 6))
    y   = clip(dec(y, dv_out) + c + (bias_mant_out << bias_exp_out))
    y   = 0 where y > 131071 << 6

`wrap24` takes one turn of 2**24 off (or adds it), so that u stays in (-2**23, 2**23]
unless the sum is further out than one turn. Without adaptation, refractoriness and
subtraction this is the bit-accurate LIF of Lava (`lava.proc.lif`, lava-nc 0.10.0). The
readout is such a LIF neuron, with the largest threshold that 17 bits hold; the last
line is its reset, and it is counted as a saturation.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.description import NetworkDescription, TestVectors
from hardware.kernels import neuron as kernels
from spikelearn.errors import require, unknown_name
from spikelearn.kernels.threads import run_groups

__all__ = ["RECORDABLE", "IntegerRecord", "check_input", "run"]

RECORDABLE = ("spikes", "u", "v", "b")


@dataclass(frozen=True, eq=False)
class IntegerRecord:
    """What a run leaves behind, time first.

    `v` is the membrane after the reset of the step, as the register of the chip holds
    it: with reset "zero" it is 0 where the neuron has fired. The float record of
    `spikelearn.network` keeps v before that reset, as it met the threshold, so the two
    are to be compared where there is no spike. With reset "subtract", whose
    subtraction comes one step later, they mean the same.

    Attributes
    ----------
    spikes
        uint8 `(T, S, n_rec)`, or None if not recorded.
    u, v, b
        int32 `(T, S, n_rec)` current, membrane (after the reset) and adaptation after
        each step, or None if not recorded.
    y
        int32 `(T, S, n_out)` readout.
    u_wraps, y_wraps
        Neuron-steps whose current left its range and wrapped.
    v_saturations, y_saturations
        Neuron-steps whose membrane or readout was clipped (a readout above its largest
        threshold is reset and counts as well).
    n_spikes
        Spikes of all recurrent neurons in all samples.
    """

    y: np.ndarray
    spikes: np.ndarray | None
    u: np.ndarray | None
    v: np.ndarray | None
    b: np.ndarray | None
    u_wraps: int
    v_saturations: int
    y_wraps: int
    y_saturations: int
    n_spikes: int

    def vectors(self, x: np.ndarray, label: np.ndarray | None = None) -> TestVectors:
        """Return test vectors of this run; needs u, v, b and spikes recorded.

        Raises
        ------
        InvalidValue
            If something was not recorded.
        """
        states: dict[str, Any] = {name: getattr(self, name) for name in RECORDABLE}
        missing = [name for name, value in states.items() if value is None]
        require(
            not missing, "IntegerRecord.vectors", "needs u, v, b and spikes", missing
        )
        return TestVectors(x=x, label=label, y=self.y, **states)


def check_input(description: NetworkDescription, x: np.ndarray) -> np.ndarray:
    """Return `x` as int32 `(T, S, n_in)` after checking it against a description.

    Raises
    ------
    InvalidValue
        If the shape, the type or the range is wrong. Nothing is clipped.
    """
    array = np.asarray(x)
    where, shape = "x", f"shape {array.shape}"
    require(array.ndim == 3, where, "must have the axes (time, sample, input)", shape)
    require(
        array.shape[2] == description.n_in,
        where,
        f"must have {description.n_in} inputs on its last axis (time, sample, input)",
        shape,
    )
    is_integer = array.dtype.kind in "iub"
    require(is_integer, where, "must hold integers", f"dtype {array.dtype}")
    if array.size:
        low, high = int(array.min()), int(array.max())
        require(
            low >= 0 and high <= description.input_max,
            where,
            f"must lie in 0..{description.input_max} "
            f"(input_bits = {description.input_bits})",
            f"{low}..{high}",
            "scale the input before it is rounded; it is never clipped silently",
        )
    return array.astype(np.int32)


def run(
    description: NetworkDescription,
    x: np.ndarray,
    record: Collection[str] = RECORDABLE,
    threads: int = 1,
) -> IntegerRecord:
    """Run a description on a batch of inputs.

    The equations are in the documentation of this module.

    Parameters
    ----------
    description
        The network.
    x
        Integers `(T, S, n_in)` in `0..description.input_max`.
    record
        Which of `RECORDABLE` to keep; `y` is always kept.
    threads
        Samples are spread over this many threads; results do not depend on it.

    Raises
    ------
    InvalidValue
        If `x` or `threads` is wrong.
    UnknownName
        If `record` names something else.
    """
    for name in record:
        if name not in RECORDABLE:
            raise unknown_name("record", name, RECORDABLE)
    require(threads >= 1, "threads", "must be >= 1", threads)
    samples_first = np.ascontiguousarray(check_input(description, x).transpose(1, 0, 2))
    n_samples, steps, _ = samples_first.shape
    weights, w_out, neurons, readout, constants = _tables(description)

    def block(name: str, dtype: type) -> np.ndarray:
        wanted = name in record or name == "spikes"
        shape = (n_samples, steps if wanted else 0, description.n_rec)
        return np.zeros(shape, dtype)

    u, v, b = (block(name, np.int32) for name in "uvb")
    spikes = block("spikes", np.uint8)
    y = np.zeros((n_samples, steps, description.n_out), np.int32)
    counters = np.zeros((n_samples, len(kernels.COUNTERS)), np.int64)

    def work(_: int, start: int, stop: int) -> None:
        for k in range(start, stop):
            fixed = (samples_first[k], weights, w_out, neurons, readout, constants)
            kernels.run_sample(*fixed, u[k], v[k], b[k], spikes[k], y[k], counters[k])

    run_groups(work, n_samples, threads)

    def kept(name: str, array: np.ndarray) -> np.ndarray | None:
        return array.transpose(1, 0, 2) if name in record else None

    totals = dict(zip(kernels.COUNTERS, counters.sum(axis=0).tolist(), strict=True))
    return IntegerRecord(
        y=y.transpose(1, 0, 2),
        spikes=kept("spikes", spikes),
        u=kept("u", u),
        v=kept("v", v),
        b=kept("b", b),
        **totals,
        n_spikes=int(spikes.sum(dtype=np.int64)),
    )


def _tables(description: NetworkDescription) -> tuple:
    """Lay the description out as the kernel reads it."""
    inward = np.concatenate(
        [description.w_in.weights.T, description.w_rec.weights.T]
    ).copy()
    outward = np.ascontiguousarray(description.w_out.weights.T)
    cell, out = description.neurons, description.readout
    neurons = np.zeros((7, description.n_rec), np.int64)
    neurons[kernels.U_DECAY] = cell.du + 1
    neurons[kernels.V_DECAY] = cell.dv
    neurons[kernels.BIAS] = cell.bias_mant << cell.bias_exp
    neurons[kernels.THRESHOLD] = cell.vth << 6
    neurons[kernels.BETA] = cell.beta << 6
    neurons[kernels.B_DECAY] = cell.db
    neurons[kernels.REFRACTORY] = cell.refractory
    readout = np.zeros((2, description.n_out), np.int64)
    readout[0] = out.dv
    readout[1] = out.bias_mant << out.bias_exp
    constants = kernels.Constants(
        exponent_in=description.w_in.exponent,
        exponent_rec=description.w_rec.exponent,
        exponent_out=description.w_out.exponent,
        subtract=cell.reset == "subtract",
        adaptive=bool(cell.beta.any()),
    )
    return inward, outward, neurons, readout, constants
