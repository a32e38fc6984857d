"""Credit of rate units by a reverse sweep: many samples at a time, in matrix products.

It is the sweep of `kernels.adjoint` for the paths LOCAL and FULL where all delays are
the same. Rates are dense, so that the weight gradients of some steps are a product

    dw_rec += sum_t r[t - delay] gi[t]^T,   dw_in += sum_t x[t] gi[t]^T

and what comes back to the samples at a step is one, cross[t] = w_rec^T gi[t + delay].
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.adjoint import (
    Accumulators,
    Carry,
    Part,
    Signal,
    _spread_scaled,
    credit_inputs,
    direct_effect,
    filter_signals,
    flushed,
)
from spikelearn.kernels.matmul import Panels, add_transposed, multiply, pack
from spikelearn.kernels.paths import FULL, LOCAL, Paths
from spikelearn.kernels.rate import dense_inputs, slope, write_inputs
from spikelearn.kernels.spiking import (
    SPIKING,
    Cell,
    InputEvents,
    Trajectory,
    Weights,
)
from spikelearn.kernels.vector import (
    aligned_empty,
    aligned_zeros,
    bare,
    load,
    store,
    width,
)

# Samples and steps of which gi is kept for a product: as much as caches hold.
N_SAMPLES, N_STEPS = 12, 64


def multiplies(cell: Cell, weights: Weights, paths: Paths) -> bool:
    """Return whether `credit_rate` can do what `adjoint.credit` does."""
    same_delay = weights.delay.shape[0] == 0
    return cell.activation != SPIKING and same_delay and paths.kind in (LOCAL, FULL)


def credit_rate(
    cell: Cell,
    weights: Weights,
    events: InputEvents,
    trajectory: Trajectory,
    signal: Signal,
    paths: Paths,
    part: Part,
    carry: Carry,
    out: Accumulators,
    credits: np.ndarray,
) -> None:
    """Accumulate the gradient of weights into rate units over the kept paths.

    Equations, arguments and what is mutated are those of `adjoint.credit`; but `cross`
    of the carry is not used.
    """
    n_steps, n_pad = trajectory.y.shape[1], weights.w.shape[1]
    dtype, (begin, end, *_) = weights.w.dtype, part
    first_step = signal.first_step
    if first_step + n_steps == signal.error.shape[1]:
        filter_signals(weights.kappa, signal, begin, end)
    if part.low == 0:
        ebar = signal.ebar
        credit_rate_readout(weights, trajectory, ebar, first_step, begin, end, out)
    samples, steps = min(N_SAMPLES, end - begin), min(N_STEPS, n_steps)
    n_back = paths.hop.shape[0] if paths.kind == FULL else 0
    room = Room(
        back=Panels(aligned_empty((n_back * n_pad,), dtype), n_back),
        cross=aligned_empty((samples, 1, n_pad), dtype),
        g=aligned_empty((samples * steps, n_pad), dtype),
        panels=aligned_empty((steps * n_pad,), dtype),
        inputs=dense_inputs(events, begin, end, n_steps, steps, dtype),
        n_steps=steps,
    )
    pack(paths.hop, 0, 0, n_pad, room.back)
    given = cell, weights, events, trajectory, signal
    for first in range(begin, end, N_SAMPLES):
        some = part._replace(begin=first, end=min(first + N_SAMPLES, end))
        sweep(*given, some, room, carry, out, credits)


def credit_rate_readout(
    weights: Weights,
    trajectory: Trajectory,
    ebar: np.ndarray,
    first_step: int,
    begin: int,
    end: int,
    out: Accumulators,
) -> None:
    """Accumulate the gradient of the readout of rate units, any delays.

    Equations, arguments and what is mutated are those of `adjoint.credit_readout`.
    """
    n_steps, (n, n_out) = trajectory.y.shape[1], out.w_out.shape
    n_pad, dtype = weights.w.shape[1], weights.w.dtype
    outputs = trajectory.output.reshape(-1, n_pad)
    panels = aligned_empty((min(N_STEPS, n_steps) * n_pad,), dtype)
    sums = aligned_zeros((n_out, n_pad), dtype)
    part = Part(begin, end, 0, n_pad)
    add_outputs(outputs, ebar, first_step, n_steps, part, panels, sums)
    out.w_out[...] += weights.out_gain * sums[:, :n].T
    steps = slice(first_step, first_step + n_steps)
    out.b_out[...] += ebar[begin:end, steps].sum((0, 1))


@kernel
def add_outputs(outputs, ebar, first_step, n_steps, part, room, sums):
    """Add sum_t ebar[b, t] r[b, t]^T to sums (n_out, n_pad) for the samples of a part.

    Mutates
    -------
    room : (steps * n_pad,) array, to compute with
    sums : (n_out, n_pad) array
    """
    outputs, ebar, room, sums = bare(outputs), bare(ebar), bare(room), bare(sums)
    (n_out, n_pad), none = sums.shape, n_steps - n_steps
    for b in range(part.begin, part.end):
        for start in range(0, n_steps, room.size // n_pad):
            count = min(room.size // n_pad, n_steps - start)
            panels = Panels(room, count)
            pack(outputs, b * n_steps + start, part.low, part.high, panels)
            first = first_step + start
            add_transposed(ebar, b, first, n_out, panels, none, part, sums, none)


class Room(NamedTuple):
    """What a sweep computes with."""

    back: Panels  # the weights that credit comes back through; LOCAL: no rows
    cross: Any  # (samples, 1, n_pad)
    g: Any  # (samples * steps, n_pad): gi of these samples and steps
    panels: Any  # (steps * n_pad,): the same of one sample as `Panels`
    inputs: Any  # (steps, n_in), or (0, n_in) where inputs are few
    n_steps: int


@kernel
def sweep(cell, weights, events, trajectory, signal, part, room, carry, out, credits):
    """Credit the samples of a part. Mutates `room`, `carry`, `out`, `credits`."""
    inputs = room.inputs.reshape(1, room.inputs.shape[0], events.n_in)
    _sweep(
        bare(cell),
        bare(weights),
        bare(events),
        bare(trajectory),
        bare(signal),
        part,
        bare(room),
        bare(inputs),
        bare(carry),
        bare(out),
        bare(credits),
    )


@kernel
def _sweep(
    cell, weights, events, trajectory, signal, part, room, inputs, carry, out, credits
):
    n_steps, span = trajectory.y.shape[1], weights.longest_delay
    none, later, back = span - span, carry.later, room.back
    begin, n_samples, n_in = part.begin, part.end - part.begin, events.n_in
    for b in range(begin, part.end):
        _credit_last_outputs(weights, n_in, trajectory, signal, b, part, later, out)
    for end in range(n_steps, 0, -room.n_steps):
        start = max(end - room.n_steps, 0)
        for t in range(end - 1, start - 1, -1):
            slot = (signal.first_step + t) % span
            if back.n_rows > 0:
                n, cross = back.n_rows, room.cross
                multiply(later, begin, slot, n, back, none, n_samples, cross)
            for b in range(begin, part.end):
                row = (b - begin) * room.n_steps + t - start
                _credit_step(
                    cell, weights, trajectory, signal, part, b, t, row, room, carry, out
                )
                if inputs.shape[1] == 0:
                    credit_inputs(weights, events, b, t, later, slot, part, out)
                if credits.shape[1] > 0:
                    for j in range(part.low, part.high, width(later)):
                        store(credits, (b, t, j), load(later, (b, slot, j)))
        for b in range(begin, part.end):
            row = (b - begin) * room.n_steps
            panels = Panels(room.panels, end - start)
            pack(room.g, row, part.low, part.high, panels)
            skip, n = max(span - start, 0), weights.w_out.shape[0]
            first, r, columns = start + skip - span, trajectory.output, part
            if start + skip < end:
                add_transposed(r, b, first, n, panels, skip, columns, out.w, n_in)
            if inputs.shape[1] > 0:
                write_inputs(events, b, start, end - start, room.inputs)
                add_transposed(
                    inputs, none, none, n_in, panels, none, columns, out.w, none
                )


@inlined
def _credit_last_outputs(weights, n_in, trajectory, signal, b, part, later, out):
    """Credit the outputs that arrive only after the last step. Mutates `out`."""
    n_steps, span = trajectory.y.shape[1], weights.longest_delay
    for t in range(max(n_steps - span, 0), n_steps):
        slot = (signal.first_step + t) % span
        some = False
        for j in range(part.low, part.high):
            some |= later[b, slot, j] != 0
        if some:
            for j in range(weights.w_out.shape[0]):
                r_j = trajectory.output[b, t, j]
                _spread_scaled(r_j, n_in + j, later, b, slot, part, out.w)


@inlined
def _credit_step(cell, weights, trajectory, signal, part, b, t, row, room, carry, out):
    """Credit the units of a sample at a step. Mutates `room`, `carry`, `out.bias`."""
    now, span = signal.first_step + t, weights.longest_delay
    slot, after = now % span, (now + 1) % span
    for j in range(part.low, part.high, width(cell.alpha_m)):
        like = load(carry.gv, (b, j))
        total = direct_effect(signal, signal.lbar, weights.out_gain, b, now, j, like)
        if signal.neuron.shape[0] > 0:
            total += load(signal.neuron, (b, j))
        if signal.direct.shape[1] > 0:
            total += load(signal.direct, (b, now, j))
        if room.back.n_rows > 0:
            total += load(room.cross, (b - part.begin, 0, j))
        psi = slope(cell.activation, load(trajectory.distance, (b, t, j)))
        gv, zeta = load(carry.gv, (b, j)), load(cell.zeta, j)
        alpha_m, bias = load(cell.alpha_m, j), load(out.bias, j)
        if cell.outside:
            gv = total + alpha_m * gv
            gi = zeta * psi * gv
            bias += gi
        else:
            gv = psi * total + alpha_m * gv
            gi = zeta * gv
            bias += gv
        if cell.has_synaptic_current:
            gi += load(cell.alpha_s, j) * load(carry.later, (b, after, j))
        gi = flushed(gi)
        store(out.bias, j, bias)
        store(carry.gv, (b, j), flushed(gv))
        store(carry.later, (b, slot, j), gi)
        store(room.g, (row, j), gi)
