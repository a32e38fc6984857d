"""The readout of a NIR graph: an LI node, weights, or the spikes themselves."""

from __future__ import annotations

import numpy as np

from hardware.importing._nir_layout import SAME, Layout, matrix_of, size_of, width_of
from hardware.importing._nir_neurons import Dialect, tau_of
from hardware.importing._nir_paths import Signal
from spikelearn.network import LeakyReadout

__all__ = ["readout_of"]


def readout_of(
    layout: Layout, dt: float, dialect: Dialect, problems: list[str]
) -> tuple[np.ndarray, np.ndarray, LeakyReadout]:
    """Return weights, biases and specification of the readout; dt in s."""
    signal, output = layout.arriving[layout.output], layout.output
    readout = LeakyReadout(tau_out=0.0, scaling="unit")
    gain, shift = np.ones(1), np.zeros(1)
    name = layout.last
    if name != output:
        alone = len(signal.terms) == 1 and signal.terms[0].matrix is None
        if not alone or signal.constant.any():
            problems.append(
                f"node {output!r} must get spikes, weighted spikes, or one LI node as "
                f"it is; got {', '.join(term.source for term in signal.terms)}"
            )
            return np.zeros((1, layout.n)), np.zeros(1), readout
        node = layout.flat.nodes[name]
        values = {k: v.ravel().astype(np.float64) for k, v in node.values.items()}
        if min(value.size for value in values.values()) == 0:
            problems.append(f"node {name!r} (LI) must have values; got none")
            return np.zeros((1, layout.n)), np.zeros(1), readout
        tau = values["tau"] * dialect.time_scale
        ratio = dt / tau
        loss = -np.expm1(-ratio) if dialect.discretisation == "exponential" else ratio
        if not (tau > 0).all() or (loss > 1 + 1e-6).any() or np.ptp(loss) > 1e-12:
            problems.append(
                f"node {name!r} (LI): tau must be one time constant for all outputs, "
                f"and at least dt; got {tau.min():g} to {tau.max():g} s"
            )
            return np.zeros((1, layout.n)), np.zeros(1), readout
        loss = np.minimum(loss, 1.0)
        gain, shift = loss * values["r"], loss * values["v_leak"]
        near = SAME[min(layout.dtype.itemsize, 8)]
        scaling = "unit"
        if np.allclose(gain, loss, rtol=near, atol=0.0):
            scaling = "leak"
        alpha = 1.0 - loss[0]
        tau_out = float(tau_of(alpha, dt)) * 1e3 if alpha > 0 else 0.0
        readout = LeakyReadout(tau_out, scaling)
        signal, output = layout.arriving[name], name
    return _readout_weights(signal, output, gain, shift, readout, layout, problems)


def _readout_weights(
    signal: Signal,
    output: str,
    gain: np.ndarray,
    shift: np.ndarray,
    readout: LeakyReadout,
    layout: Layout,
    problems: list[str],
) -> tuple[np.ndarray, np.ndarray, LeakyReadout]:
    rows = [len(t.matrix) for t in signal.terms if t.matrix is not None]
    rows += [width_of(t.source, layout) for t in signal.terms if t.matrix is None]
    n_out = max([*rows, 1])
    w_out = np.zeros((n_out, layout.n))
    for term in signal.terms:
        if term.source not in layout.blocks:
            problems.append(
                f"node {output!r} must get spikes; got node {term.source!r}"
            )
            continue
        if term.steps:
            problems.append(f"node {output!r} must get spikes without a Delay")
        block = layout.blocks[term.source]
        w_out[:, block] += matrix_of(term, n_out, size_of(block), output, problems)
    factor = 1.0 if readout.scaling == "leak" else gain[:, None]
    constant = np.broadcast_to(signal.constant, n_out)
    if gain.size not in (1, n_out):
        problems.append(f"node {output!r} must have {n_out} values; got {gain.size}")
        return w_out, constant, readout
    return w_out * factor, gain * constant + shift, readout
