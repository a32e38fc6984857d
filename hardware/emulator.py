"""The integer emulator: the definition of what a network description computes.

Time step t, with state zero before t = 0 and input `x[t]` acting at step t. All values
are integers; `>>` floors; `wrap32` keeps the low 32 bits; `clip` limits to
`+-(2**23 - 1)`; `s` are spikes, `m` mantissas, `e` the weight exponent of a block::

    dec(x, d)  = sign(x) * ((|x| * (4096 - d)) >> 12)
    shift(a,e) = wrap32(a << e) if e >= 0 else a >> -e      of the block sum
    a   = shift(m_in x[t - d_in], e_in) + shift(m_rec s[t - 1 - d_rec], e_rec)
    u   = wrap24(wrap32(dec(u, du + 1) + wrap32(a << 6)))   one turn of 2**24 at most
    v   = clip(dec(v, dv) + u + (bias_mant << bias_exp) - r)
    r   = s[t-1] * (vth << 6) if reset is "subtract" else 0
    b   = clip(dec(b, db) + s[t-1] * (beta << 6))
    s   = (v > (vth << 6) + b) and rc == 0;   reset "zero": v = 0 where s
    rc  = refractory where s, else max(rc - 1, 0)
    c   = wrap24(wrap32(shift(m_out s[t - d_out], e_out) << 6))
    y   = clip(dec(y, dv_out) + c + (bias_mant_out << bias_exp_out))
    y   = 0 where y > 131071 << 6

`wrap24` takes one turn of 2**24 off (or adds it), so that u stays in (-2**23, 2**23]
unless the sum is further out than one turn. Without adaptation, refractoriness and
subtraction this is the bit-accurate LIF of Lava (`lava.proc.lif`, lava-nc 0.10.0). The
readout is such a LIF neuron, with the largest threshold that 17 bits hold; the last
line is its reset, and it is counted as a saturation.

The delays `d` are those of each synapse, 0 without. A block sum is held in 32 bits
(`Dense`, `Sparse`); with delays each product is (`DelayDense`).

With `reset_interval` k > 0 (`LIFReset`), u = v = 0 at the start of each step t with
t % k == reset_offset, before its input.

Ternary neurons (`TernaryLIF`) differ in spike and reset::

    s = (v > vth_hi << 6) - (v < vth_lo << 6);   v = 0 where s != 0

ATRLIF neurons (`lava.proc.atrlif`) have u as above, with delta_i for du, a threshold b
that starts at theta_0 << 6, and a refractory state r. Their v is not reset::

    v = clip(dec(v, delta_v) + u + (bias_mant << bias_exp))
    b = dec(b - (theta_0 << 6), delta_theta) + (theta_0 << 6)
    r = dec(r, delta_r)
    s = v - r >= b;   where s: r += 2 b and then b += theta_step << 6

With `fidelity="chip"` the LIF neurons are those of Loihi 1 as nengo-loihi has them (its
emulator's `CompartmentState.update`; Q_BITS = 21, U_BITS = 23), `wrapN` being the two's
complement of N bits and sign::

    w   = min(max(floor(m 2**e), 1 - 2**15), 2**15 - 1) << 6          of each weight
    q   = wrap21(sum of w over the spikes that arrive + noise on the current)
    u   = wrap23(dec(u, du + 1) + q)
    v   = clip(dec(v, dv) + wrap23(u + (bias_mant << bias_exp) + noise on the membrane))
    v   = 0 where rc > 0
    s   = v > vth << 6;   v = 0 where s;   rc = refractory where s, else max(rc - 1, 0)

and the readout likewise. The weights are those of nengo-loihi's `discretize_weights`
(lossy shift) and of Brian2Loihi (doi:10.3389/fninf.2022.1015624): since mantissas have
trailing zeros where e < 0, only -256 << 7 comes out different from Lava. A refractory
neuron is held at 0, where the neurons above only do not spike. The refractory delay of
the chip has 1..63 steps, that is 0..62 silent ones. Noise is `ChipNoise`. A golden file
holds what nengo-loihi 1.1.0 gives for neurons with all of this. Delays are those above;
nengo-loihi has none. No width of the neurons of Loihi 2 is public, so
other neurons and graded input are refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware._tables import make_tables
from hardware.chip_effects import ChipNoise, check_chip, draw_noise
from hardware.description import NetworkDescription, TestVectors
from hardware.kernels import neuron as kernels
from spikelearn.errors import require, unknown_name
from spikelearn.kernels.threads import run_groups

__all__ = [
    "FIDELITIES",
    "RECORDABLE",
    "ChipNoise",
    "IntegerRecord",
    "check_input",
    "run",
]

RECORDABLE = ("spikes", "u", "v", "b", "r")
FIDELITIES = ("lava", "chip")


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
        uint8 `(T, S, n_rec)`, int8 of ternary neurons, or None if not recorded.
    u, v, b
        int32 `(T, S, n_rec)` current, membrane (after the reset) and adaptation after
        each step, or None if not recorded. Of ATRLIF neurons, `b` is the threshold.
    r
        int32 `(T, S, n_rec)` refractory state of ATRLIF neurons, or None.
    y
        int32 `(T, S, n_out)` readout.
    u_wraps, y_wraps
        Neuron-steps whose current (or the sum that enters it) left its range and
        wrapped.
    v_saturations, y_saturations
        Neuron-steps whose membrane or readout was clipped (a readout above its largest
        threshold is reset and counts as well).
    n_spikes
        Spikes of all recurrent neurons in all samples, of either sign.
    """

    y: np.ndarray
    spikes: np.ndarray | None
    u: np.ndarray | None
    v: np.ndarray | None
    b: np.ndarray | None
    r: np.ndarray | None
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
        needed = ("spikes", "u", "v", "b")
        missing = [name for name in needed if states[name] is None]
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
    *,
    fidelity: str = "lava",
    noise: ChipNoise | None = None,
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
        Which of `RECORDABLE` to keep; `y` is always kept, `r` is kept only of ATRLIF
        neurons.
    threads
        Samples are spread over this many threads; results do not depend on it.
    fidelity
        `"lava"`: what Lava computes. `"chip"`: with the effects of Loihi 1 that Lava
        leaves out.
    noise
        Noise of the chip, only with `fidelity="chip"`.

    Raises
    ------
    InvalidValue
        If `x`, `threads` or `noise` is wrong.
    UnknownName
        If `record` or `fidelity` names something else.
    HardwareError
        If `fidelity` is "chip" and the network has what Loihi 1 has not; the message
        lists all of it.
    """
    for name in record:
        if name not in RECORDABLE:
            raise unknown_name("record", name, RECORDABLE)
    if fidelity not in FIDELITIES:
        raise unknown_name("fidelity", fidelity, FIDELITIES)
    require(threads >= 1, "threads", "must be >= 1", threads)
    chip = fidelity == "chip"
    require(chip or noise is None, "noise", "needs fidelity='chip'", noise)
    if chip:
        check_chip(description)
    samples_first = np.ascontiguousarray(check_input(description, x).transpose(1, 0, 2))
    samples, steps, _ = samples_first.shape
    tables = make_tables(description, chip)
    noises = draw_noise(noise, samples, steps, description.n_rec)
    wanted = {*record, "y"} - _absent(description)
    constant = set() if tables.constants.family in kernels.ADAPTING else {"b"}
    blocks = _blocks(description, wanted - constant, samples, steps)
    counters = np.zeros((samples, len(kernels.COUNTERS)), np.int64)

    def work(_: int, start: int, stop: int) -> None:
        table, fixed = tables.neurons, tables.constants
        network = (tables.synapses, table, tables.readout, noises, fixed)
        kernels.run_samples(start, stop, samples_first, *network, blocks, counters)

    run_groups(work, samples, threads)
    if "b" in wanted & constant:
        zeros = np.zeros((samples, steps, description.n_rec), np.int32)
        blocks = blocks._replace(b=zeros)
    if description.neurons.lowest_spike == 0:
        blocks = blocks._replace(spikes=blocks.spikes.view(np.uint8))
    kept: dict[str, Any] = {
        name: block.transpose(1, 0, 2) if name in wanted else None
        for name, block in blocks._asdict().items()
    }
    totals = dict(zip(kernels.COUNTERS, counters.sum(axis=0).tolist(), strict=True))
    return IntegerRecord(**kept, **totals)


def _absent(description: NetworkDescription) -> set[str]:
    """Return what the neurons have not and a record therefore has as None."""
    return set() if description.neurons.kind == "atrlif" else {"r"}


def _blocks(
    description: NetworkDescription, wanted: Collection[str], samples: int, steps: int
) -> kernels.States:
    """Make room for what is wanted, samples first; no step for the rest.

    The states share one allocation: a large one costs less than several smaller ones,
    whose pages the system takes back and clears each time.
    """
    width = description.n_rec
    names = [name for name in ("u", "v", "b", "r") if name in wanted]
    shared = np.empty((len(names), samples, steps, width), np.int32)
    given = dict(zip(names, shared, strict=True))
    nothing = np.empty((samples, 0, width), np.int32)
    kept = steps if "spikes" in wanted else 0
    return kernels.States(
        **{name: given.get(name, nothing) for name in ("u", "v", "b", "r")},
        spikes=np.empty((samples, kept, width), np.int8),
        y=np.empty((samples, steps, description.n_out), np.int32),
    )
