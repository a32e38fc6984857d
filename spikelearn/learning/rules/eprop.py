"""e-prop: eligibility propagation for recurrent spiking networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.adjoint import Accumulators, Signal, eprop
from spikelearn.kernels.threads import run_groups, sample_groups
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork

__all__ = ["EProp"]


@dataclass(frozen=True)
class EProp:
    """e-prop for LIF and ALIF cells.

        dE/dw_ji = sum_t L_j[t] F_kappa(e_ji)[t]
        e_ji[t]  = psi_j[t] (xbar_ji[t] - beta_j eps_ji[t])
        eps_ji[t+1] = rho_j eps_ji[t] + e_ji[t]

    with the learning signal L_j = sum_k B_jk error_k, the pseudo-derivative psi, the
    presynaptic trace xbar (spikes of i through the synaptic and membrane filters of j)
    and F_kappa the readout's filter. Readout weights and biases get their exact
    gradient. The trial is credited by the transposed recursion (`kernels.adjoint`),
    which gives the same numbers as forward traces.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, eqs. 1-4 and 22-28.
    """

    info: ClassVar[RuleInfo] = RuleInfo(
        name="e-prop",
        exact=False,
        local=True,
        online=True,
        credit="at the end of a trial",
        cells=("LIF", "ALIF"),
        kept="paths inside the neuron: membrane, synaptic current, adaptation",
        dropped="paths through spikes of other neurons and through the reset",
        reference="Bellec et al. 2020, doi:10.1038/s41467-020-17236-y",
    )

    def gradients(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> Gradients:
        """Return the e-prop gradient of a recorded batch.

        Raises
        ------
        InvalidValue
            If error, feedback or neuron signal have the wrong shape.
        """
        dtype = network.dtype
        n_samples = record.n_samples
        kernel_signal = _kernel_signal(network, record, signal)
        weights = network.kernel_weights()
        groups = [
            Accumulators(
                w=np.zeros_like(weights.w),
                bias=np.zeros_like(weights.bias),
                w_out=np.zeros_like(weights.w_out),
                b_out=np.zeros_like(weights.b_out),
            )
            for _ in sample_groups(n_samples)
        ]

        def work(group: int, start: int, stop: int) -> None:
            eprop(
                network.cell_constants,
                weights,
                record.events,
                record.trajectory,
                kernel_signal,
                start,
                stop,
                groups[group],
            )

        run_groups(work, n_samples, threads)
        total = groups[0]
        for other in groups[1:]:
            for sum_, part in zip(total, other, strict=True):
                sum_ += part
        n_in, n_rec = network.n_in, network.n_rec
        w_rec = total.w[n_in:, :n_rec].T
        w_rec *= cast(np.ndarray, network.mask).astype(dtype)
        return Gradients(
            w_in=total.w[:n_in, :n_rec].T,
            w_rec=w_rec,
            w_out=total.w_out.T,
            b_out=total.b_out,
            bias=total.bias,
        )


def _kernel_signal(
    network: RecurrentNetwork, record: Record, signal: LearningSignal
) -> Signal:
    n_steps, n_samples = record.n_steps, record.n_samples
    n_rec, n_out = network.n_rec, network.n_out
    neuron = signal.neuron
    if neuron is None:
        neuron = np.zeros((n_samples, n_rec))
    expected = {
        "error": (signal.error, (n_steps, n_samples, n_out)),
        "feedback": (signal.feedback, (n_rec, n_out)),
        "neuron": (neuron, (n_samples, n_rec)),
    }
    for name, (array, shape) in expected.items():
        where = f"LearningSignal.{name}"
        require(array.shape == shape, where, f"must have shape {shape}", array.shape)
    dtype = network.dtype
    return Signal(
        error=np.ascontiguousarray(signal.error.transpose(1, 0, 2), dtype),
        feedback=np.ascontiguousarray(signal.feedback, dtype),
        neuron=np.ascontiguousarray(neuron, dtype),
    )
