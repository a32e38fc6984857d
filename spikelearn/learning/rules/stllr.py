"""S-TLLR: learning in the image of spike-timing-dependent plasticity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.rules.sweep import kernel_signal
from spikelearn.learning.rules.three_factor import SpikeTimingRule, pairing
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork

__all__ = ["STLLR"]


@dataclass(frozen=True)
class STLLR(SpikeTimingRule):
    """S-TLLR, STDP-inspired temporal local learning, for LIF and ALIF cells.

        dE/dw_ij = sum_t L_i[t] (alpha_pre psi_i[t] X_j[t] + alpha_post Y_i[t] x_j[t])
        X_j[t] = lambda_pre X_j[t-1] + x_j[t]
        Y_i[t] = lambda_post Y_i[t-1] + psi_i[t-1]
        L_i[t] = sum_k B_ik broadcast_k[t] + neuron_i + direct_i[t]
        dE/dbias_i = sum_t L_i[t] psi_i[t]

    x_j are inputs, and recurrent spikes when they arrive. The first term pairs a
    neuron that is close to threshold with presynaptic events up to now, the second
    with an event after it (with alpha_post < 0 it takes back what such a pair cannot
    have caused). psi is the pseudo-derivative of the cell. The eligibility is not
    passed through the filter of the readout and knows nothing of the membrane, of
    synaptic current or of adaptation; lambda_pre takes their place. The readout gets
    its exact gradient. What B multiplies is the error unless the signal has a
    `broadcast`.

    Parameters
    ----------
    lambda_post, lambda_pre
        Decay factors of both traces per time step, in [0, 1], as in the paper.
    alpha_post, alpha_pre
        Weights of the acausal and of the causal term.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.

    References
    ----------
    Apolinario & Roy 2025, Transactions on Machine Learning Research, arXiv:2306.15220;
    the order of the traces within a step is that of the authors' code.
    """

    lambda_post: float = 0.2
    lambda_pre: float = 0.75
    alpha_post: float = -1.0
    alpha_pre: float = 1.0

    info: ClassVar[RuleInfo] = RuleInfo(
        name="s-tllr",
        title="STDP-inspired temporal local learning rule",
        exact=False,
        hops="none",
        local=True,
        online=True,
        credit="at the end of a trial",
        cells=("LIF", "ALIF"),
        kept="pairs of presynaptic events and pseudo-derivatives, in both orders",
        dropped="paths inside the neuron, through other neurons or the readout filter",
        reference="Apolinario & Roy 2025, arXiv:2306.15220",
    )

    def __post_init__(self) -> None:
        for name in ("lambda_post", "lambda_pre"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"STLLR.{name}", "must be in [0, 1]", value)
        for name in ("alpha_post", "alpha_pre"):
            value = getattr(self, name)
            require(np.isfinite(value), f"STLLR.{name}", "must be finite", value)

    def gradients(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> Gradients:
        """Return the gradient of a recorded batch.

        Raises
        ------
        InvalidValue
            If cells do not spike, or a part of the signal has the wrong shape.
        """
        self.check(network)
        signals = kernel_signal(network, record, signal)
        modulator = signals.broadcast @ signals.feedback
        if signal.neuron is not None:
            modulator += signals.neuron[:, None]
        if signal.direct is not None:
            modulator += signals.direct
        coefficients = pairing(
            network.dtype,
            causal=self.alpha_pre,
            acausal=self.alpha_post,
            lambda_pre=self.lambda_pre,
            lambda_post=self.lambda_post,
            lambda_e=0.0,
            bias=1.0,
            spikes=False,
        )
        return self._sweep(network, record, signals, modulator, coefficients, threads)
