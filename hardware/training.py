"""Training under the constraints of a chip: integers in the forward pass, few inputs.

Quantisation-aware training rounds the weights that learn before every trial and runs
the integers in the emulator: what is trained is what will run. The rule gets the states
of the integer run, divided by their scales, and the weights that the integers stand
for; its gradient moves the float weights behind them (straight-through estimator:
Bengio et al. 2013, arXiv:1308.3432; in quantised networks Hubara et al. 2018, Journal
of Machine Learning Research 18:187).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from hardware import emulator
from hardware._checks import BIAS_MAX, STATE_MAX
from hardware._structure import largest_inputs
from hardware.description import NetworkDescription
from hardware.emulator import IntegerRecord
from hardware.evaluation import evaluate_description
from hardware.kernels.tested import tested_states
from hardware.quantization import check_representable, integer_input, search_scales
from hardware.quantization_report import CONSTANT_TOLERANCE
from hardware.rounding import (
    MAX_EXPONENT,
    UNIT,
    Rounding,
    Scales,
    describe,
    effective_weights,
    largest_mantissa,
    represented,
)
from spikelearn.errors import HardwareError, require
from spikelearn.kernels.threads import run_groups
from spikelearn.learning.backend import Backend, Constraint
from spikelearn.learning.evaluation import Evaluation
from spikelearn.learning.losses import Loss
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.runs import RunConfig
from spikelearn.tasks import Task

__all__ = [
    "FanIn",
    "IntegerBackend",
    "from_config",
    "integer_record",
]

CALIBRATION_SAMPLES = 32
# Weights grow while they learn: the scale leaves room for so many times the states.
GROWTH = 8.0


@dataclass(frozen=True)
class FanIn:
    """Keeps the `limit` largest weights into every neuron and sets the others to 0.

    Inputs and recurrent weights count together (iterative hard thresholding: Blumensath
    & Davies 2009, doi:10.1016/j.acha.2009.04.002); readout neurons keep theirs too. A
    weight comes back when an update makes it larger than the smallest that is kept.

    Parameters
    ----------
    limit
        Synapses of a neuron, >= 1.

    Raises
    ------
    InvalidValue
        If the limit is less than 1.
    """

    limit: int

    def __post_init__(self) -> None:
        require(self.limit >= 1, "FanIn.limit", "must be >= 1", self.limit)

    def __call__(self, network: RecurrentNetwork) -> None:
        """Project the weights of a network in place."""
        w_in, w_rec = network.params.w_in, network.params.w_rec
        w_out = network.params.w_out
        kept = largest_inputs(np.abs(np.hstack([w_in, w_rec])), self.limit)
        w_in[~kept[:, : network.n_in]] = 0.0
        w_rec[~kept[:, network.n_in :]] = 0.0
        w_out[~largest_inputs(np.abs(w_out), self.limit)] = 0.0


@dataclass
class IntegerBackend:
    """Runs networks as integers in training (`spikelearn.learning.backend.Backend`).

    Parameters
    ----------
    rounding
        Bits and mode; stochastic rounding draws once, so that weights stay comparable.
    input_bits
        As in `hardware.quantization.quantise`.
    scales
        Scales of all states, which `calibrated` finds. They are halved where a state
        leaves its range, and else stay as they are.
    """

    rounding: Rounding
    input_bits: int
    scales: Scales
    _copies: tuple = field(default=(None, None), init=False, repr=False)

    @classmethod
    def calibrated(
        cls,
        network: RecurrentNetwork,
        calibration: np.ndarray,
        *,
        input_bits: int | None,
        bits: int,
    ) -> IntegerBackend:
        """Return a backend with the scales that suit a network before it learns.

        They are those of `hardware.quantization.search_scales`, halved until states may
        grow `GROWTH` times.

        Raises
        ------
        HardwareError
            If the network or its input has no integer form.
        """
        check_representable(network, input_bits)
        assert input_bits is not None
        rounding = Rounding(bits)
        x = integer_input(calibration, input_bits)
        record = network.run(calibration, record=("v", "a", "i"))
        scales = search_scales(network, record, x, input_bits, rounding)
        run = emulator.run(describe(network, scales, input_bits, rounding), x)
        assert run.u is not None and run.v is not None
        states = max(np.abs(run.u).max(), np.abs(run.v).max())
        halvings = np.full(len(network.layers), _halvings(states))
        scales = _halved(scales, halvings, _halvings(np.abs(run.y).max()))
        return cls(rounding, input_bits, scales)

    def describe(self, network: RecurrentNetwork) -> NetworkDescription:
        """Return the integers that run in place of a network.

        Raises
        ------
        HardwareError
            If a constant does not fit its register.
        """
        return describe(network, self.scales, self.input_bits, self.rounding)

    def running(self, network: RecurrentNetwork) -> RecurrentNetwork:
        """Return a network with the weights that the integers stand for."""
        return self._with_weights(network, self.describe(network))

    def _with_weights(
        self, network: RecurrentNetwork, description: NetworkDescription
    ) -> RecurrentNetwork:
        if self._copies[0] is not network:
            self._copies = network, replace(network)
        copy: RecurrentNetwork = self._copies[1]
        values = represented(network, description)
        copy.params.load({k: a.astype(network.dtype) for k, a in values.items()})
        return copy

    def run(
        self,
        network: RecurrentNetwork,
        x: np.ndarray,
        record: Collection[str],
        *,
        threads: int,
    ) -> tuple[RecurrentNetwork, Record]:
        """Run a batch in integers; return the weights that ran and what they did.

        Where a state has left its range, the next batch has half of its scale: weights
        are then the same with a smaller exponent.

        Raises
        ------
        HardwareError
            If a scale is so small that it does not hold the thresholds any more: the
            weights run away.
        """
        description = self.describe(network)
        run = emulator.run(
            description, integer_input(x, self.input_bits), threads=threads
        )
        running = self._with_weights(network, description)
        self._make_room(network, run)
        return running, integer_record(
            running, description, x, run, with_states=bool(record), threads=threads
        )

    def _make_room(self, network: RecurrentNetwork, run: IntegerRecord) -> None:
        """Halve the scales of layers, or of the readout, that left their range."""
        states, readout = np.zeros(len(network.layers), np.int64), 0
        if run.u_wraps + run.v_saturations:
            assert run.u is not None and run.v is not None
            peaks = np.maximum(np.abs(run.u), np.abs(run.v)).max(axis=(0, 1))
            starts = np.cumsum((0, *network.layers))[:-1]
            peaks = np.maximum.reduceat(peaks, starts)
            states += peaks >= min(STATE_MAX // 2, peaks.max())
        if run.y_wraps + run.y_saturations:
            readout = 1
        if not states.any() and not readout:
            return
        scales = _halved(self.scales, states, readout)
        constants = network.cell_constants
        for name in ("v_th", "beta"):
            exact = scales.per_neuron(network) * getattr(constants, name)
            exact = exact[exact > 0]
            off = np.abs(np.rint(exact / UNIT) * UNIT / exact - 1.0).max(initial=0.0)
            _refuse_runaway(off > CONSTANT_TOLERANCE, f"cell.{name}")
        _refuse_runaway(scales.output < UNIT, "the readout")
        self.scales = scales

    def evaluate(
        self,
        network: RecurrentNetwork,
        task: Task,
        loss: Loss,
        split: str,
        *,
        size: int | None,
        threads: int,
    ) -> Evaluation:
        """Score the integers on a split of a task."""
        given = (self.describe(network), task, loss, split)
        return evaluate_description(*given, size=size, threads=threads)

    def project(self, network: RecurrentNetwork) -> None:
        """Clip what is beyond the largest mantissa and exponent, in place."""
        beyond = largest_mantissa(self.rounding.bits) * UNIT * 2.0**MAX_EXPONENT
        voltage = self.scales.per_neuron(network)[:, None]
        rows = {"w_in": voltage, "w_rec": voltage, "w_out": self.scales.output}
        effective = effective_weights(network, self.input_bits)
        for name, row in rows.items():
            weights = getattr(network.params, name)
            excess = np.maximum(np.abs(row * effective[name]) / beyond, 1.0)
            np.divide(weights, excess, out=weights, casting="same_kind")
        params, largest = network.params, BIAS_MAX * 2.0**MAX_EXPONENT
        scales = {"bias": voltage[:, 0], "b_out": np.array(self.scales.output)}
        for name, scale in scales.items():
            limit = (largest / scale).astype(network.dtype)
            biases = getattr(params, name)
            np.clip(biases, -limit, limit, out=biases)

    def state(self) -> dict[str, np.ndarray]:
        """Return the scales: those of layers, and that of the readout."""
        return {"scales": np.array([*self.scales.voltages, self.scales.output])}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on with the scales of a checkpoint."""
        *voltages, output = (float(value) for value in state["scales"])
        self.scales = Scales(tuple(voltages), output)


def _refuse_runaway(lost: bool, place: str) -> None:
    """Raise if a scale has become too small for what it has to hold."""
    if lost:
        raise HardwareError(
            f"states must fit into 24 bits at a scale that holds {place}; got "
            "states that run away while the network learns. (Lower optimizer.lr, "
            "or set optimizer.clip_norm or optimizer.weight_decay.)"
        )


def _halvings(peak: int) -> int:
    """Return how often a scale is halved until a state may grow `GROWTH` times."""
    return max(math.ceil(math.log2(GROWTH * max(int(peak), 1) / STATE_MAX)), 0)


def _halved(scales: Scales, states: np.ndarray, readout: int) -> Scales:
    """Return scales that are halved so often, those of layers and of the readout."""
    voltages = np.asarray(scales.voltages) * 2.0**-states
    return Scales(tuple(voltages.tolist()), scales.output * 2.0**-readout)


def integer_record(
    network: RecurrentNetwork,
    description: NetworkDescription,
    x: np.ndarray,
    run: IntegerRecord,
    *,
    with_states: bool,
    threads: int = 1,
) -> Record:
    """Return an integer run in the units of the float network, for learning rules.

    `v` is the voltage as it met the threshold, which reset "zero" clears afterwards.
    """
    assert run.u is not None and run.b is not None and run.spikes is not None
    cell, scales = description.lif, Scales.of(description.metadata)
    scale = scales.per_neuron(network)
    bias = cell.bias_mant.astype(np.int64) << cell.bias_exp
    registers = np.stack([cell.dv, bias, cell.vth << 6, cell.refractory])
    registers = registers.astype(np.int64)
    u, v, b, spikes = (
        np.ascontiguousarray(np.asarray(getattr(run, name)).transpose(1, 0, 2))
        for name in ("u", "v", "b", "spikes")
    )
    distance = np.empty(spikes.shape, network.dtype)
    voltage = np.empty(spikes.shape if with_states else (len(v), 0, 0), network.dtype)

    def work(_: int, begin: int, end: int) -> None:
        for k in range(begin, end):
            given = (u[k], v[k], b[k], spikes[k], registers, scale)
            tested_states(*given, cell.reset == "zero", voltage[k], distance[k])

    run_groups(work, len(spikes), threads)
    states = {}
    if with_states:
        constants = network.cell_constants
        beta = np.where(constants.beta > 0, constants.beta, np.inf)
        states = {"v": voltage.transpose(1, 0, 2), "a": run.b / (scale * beta)}
        states["i"] = run.u / (scale * constants.zeta)
    tested = distance.transpose(1, 0, 2)
    return network.adopt(x, run.spikes, tested, run.y / scales.output, states)


def from_config(
    config: RunConfig, network: RecurrentNetwork, task: Task
) -> tuple[Backend | None, Constraint | None]:
    """Return what the section [hardware] of a configuration asks for.

    Raises
    ------
    HardwareError
        If the network or the input of the task has no integer form.
    InvalidValue
        If a limit is out of range.
    """
    section = config.hardware
    if section is None:
        return None, None
    fan_in = None if section.fan_in is None else FanIn(section.fan_in)
    if fan_in is not None:
        fan_in(network)
    if section.weight_bits is None:
        return None, fan_in
    size = min(CALIBRATION_SAMPLES, config.training.batch_size)
    backend = IntegerBackend.calibrated(
        network,
        task.train_batch(0, size, config.training.seed).x,
        input_bits=task.input_bits,
        bits=section.weight_bits,
    )

    def constraint(network: RecurrentNetwork) -> None:
        if fan_in is not None:
            fan_in(network)
        backend.project(network)

    return backend, constraint
