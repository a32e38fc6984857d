"""Real-time recurrent learning: exact, forward in time, for small networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from spikelearn.errors import InvalidValue
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo, check_cell
from spikelearn.learning.rules.bptt import BPTT
from spikelearn.learning.rules.sweep import kernel_signal
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.slopes import output_slopes

__all__ = ["RTRL"]

LARGEST = 64


@dataclass(frozen=True)
class RTRL:
    """RTRL: the influence of every weight on every neuron, carried forward.

        M[t] = dr[t]/dw = psi (dv/dw - beta da/dw)
        dE/dw = sum_t (B out_gain ebar[t] + neuron + direct[t]) M[t]

    where dv/dw, di/dw and da/dw follow the equations of the time step, with
    sum_j w_kj M_j[t - d_kj] entering di_k/dw. It equals BPTT and shares no code with
    it. Time O(N^4) a step and memory O(N^3): some ten MB per step of delay at the limit
    of 64 neurons.

    Parameters
    ----------
    reset
        Whether the gradient goes through the reset, as in `BPTT`.

    References
    ----------
    Williams & Zipser 1989, doi:10.1162/neco.1989.1.2.270.
    """

    reset: bool = False

    info: ClassVar[RuleInfo] = RuleInfo(
        name="rtrl",
        title="Real-time recurrent learning",
        exact=True,
        hops="all",
        local=False,
        online=True,
        credit="at the end of a trial",
        cells=("LIF", "ALIF", "rate"),
        kept="all paths; the reset only with reset=true",
        dropped="the reset of spiking cells unless reset=true",
        reference="Williams & Zipser 1989, doi:10.1162/neco.1989.1.2.270",
    )

    def needs(self, network: RecurrentNetwork) -> tuple[str, ...]:
        """Return what BPTT needs."""
        return BPTT(self.reset).needs(network)

    def check(self, network: RecurrentNetwork) -> None:
        """Raise `InvalidValue` for a network of more than 64 neurons."""
        check_cell(self.info, network)
        if network.n_rec > LARGEST:
            raise InvalidValue(
                f"rule 'rtrl' must be used with n_rec <= {LARGEST}; got "
                f"{network.n_rec}. (bptt gives the same gradient; snap-1, e-prop and "
                "mdgl approximate it at any size.)"
            )

    def gradients(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> Gradients:
        """Return the exact gradient of a recorded batch.

        Raises
        ------
        InvalidValue
            If the network is too large or a signal has the wrong shape.
        """
        self.check(network)
        arrays = {k: np.zeros_like(v) for k, v in network.params.arrays().items()}
        signals = kernel_signal(network, record, signal)
        kappa, gain = network.readout.factors(network.dt)
        psi, output = output_slopes(network, record), record.output
        v = record.state("v") if self.needs(network) else None
        n_rec = network.n_rec
        for b in range(record.n_samples):
            x = _dense_input(record, b)
            sample_v = None if v is None else v[:, b]
            parts = (psi[:, b], output[:, b], x, sample_v)
            influence = _influence(network, *parts, through_reset=self.reset)
            # The filter of the readout is moved from the signal onto the influence.
            filtered, r_filtered = np.zeros(()), np.zeros(())
            one = 0.0
            for t, m in enumerate(influence):
                filtered = kappa * filtered + gain * m
                broadcast = (signals.broadcast[b, t] @ signals.feedback)[:n_rec]
                plain = np.zeros(n_rec, network.dtype)
                if signals.neuron.shape[0]:
                    plain += signals.neuron[b, :n_rec]
                if signals.direct.shape[1]:
                    plain += signals.direct[b, t, :n_rec]
                change = broadcast @ filtered + plain @ m
                n_weights = n_rec * (network.n_in + n_rec)
                rows = change[:n_weights].reshape(n_rec, -1)
                arrays["w_in"] += rows[:, : network.n_in]
                arrays["w_rec"] += rows[:, network.n_in :]
                arrays["bias"] += change[n_weights:]
                r_filtered = kappa * r_filtered + gain * output[t, b]
                one = kappa * one + 1.0
                arrays["w_out"] += np.outer(signals.error[b, t], r_filtered)
                arrays["b_out"] += signals.error[b, t] * one
        for name, mask in network.masks.items():
            arrays[name] *= mask
        return Gradients(**arrays)


def _dense_input(record: Record, b: int) -> np.ndarray:
    """Return the input of one sample, (T, n_in)."""
    events = record.events
    x = np.zeros((record.n_steps, events.n_in))
    for t in range(record.n_steps):
        span = slice(events.start[b, t], events.start[b, t + 1])
        x[t, events.unit[span]] = events.value[span] if events.value.size else 1.0
    return x


def _influence(
    network: RecurrentNetwork,
    psi: np.ndarray,
    output: np.ndarray,
    x: np.ndarray,
    v: np.ndarray | None,
    through_reset: bool,
) -> Iterator[np.ndarray]:
    """Yield dr[t]/dw, (n_rec, n_params), for every step of one sample.

    Parameters are ordered as (post, inputs and recurrent neurons), then the biases.
    """
    c = network.cell_constants
    n, n_in = network.n_rec, network.n_in
    n_pre = n_in + n
    delays = np.broadcast_to(network.delay, (n, n))
    steps = np.unique(delays)
    w_by_delay = [np.where(delays == d, network.params.w_rec, 0.0) for d in steps]
    longest = int(steps.max())
    shape = (n, n * n_pre + n)
    current, state, adaptation = (np.zeros(shape, output.dtype) for _ in range(3))
    past = [np.zeros(shape, output.dtype)] * longest  # influences, newest first
    sent = [np.zeros(n, output.dtype)] * longest  # outputs, newest first
    own = np.arange(n)
    post = own[:, None] * n_pre + np.arange(n_pre)
    columns = [a[:, None] for a in (c.alpha_m, c.alpha_s, c.zeta, c.rho, c.beta)]
    alpha_m, alpha_s, zeta, rho, beta = columns
    for t in range(len(output)):
        current = alpha_s * current
        for d, w in zip(steps, w_by_delay, strict=True):
            current += w @ past[d - 1]
        arrived = np.stack(sent)[delays - 1, own]  # (post, pre)
        pre = np.hstack([np.broadcast_to(x[t], (n, n_in)), arrived])
        current[own[:, None], post] += pre
        drive = current if c.outside else zeta * current
        drive = drive.copy()
        drive[own, n * n_pre + own] += 1.0
        slope = psi[t][:, None]
        if c.outside:
            state = alpha_m * state + zeta * slope * drive
            influence = state
        else:
            state = alpha_m * state + drive
            if through_reset and not c.reset_to_zero:
                state -= c.v_th[:, None] * past[0]
            influence = slope * (state - beta * adaptation)
            adaptation = rho * adaptation + influence
        yield influence
        if c.reset_to_zero:
            z = output[t][:, None]
            if through_reset:
                voltage = np.where(psi[t] != 0, cast(np.ndarray, v)[t], 0.0)
                state = (1.0 - z) * state - voltage[:, None] * influence
            else:
                state = (1.0 - z) * state
        past = [influence, *past[:-1]]
        sent = [output[t], *sent[:-1]]
