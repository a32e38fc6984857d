"""R-STDP: spike-timing-dependent plasticity that waits for reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import InvalidValue, require
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.rules.sweep import kernel_signal
from spikelearn.learning.rules.three_factor import SpikeTimingRule, pairing
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.cells import decay_factor

__all__ = ["RSTDP"]


@dataclass(frozen=True)
class RSTDP(SpikeTimingRule):
    """Reward-modulated STDP for LIF and ALIF cells.

        dE/dw_ij = - sum_t reward[t] E_ij[t]
        E_ij[t] = lambda_e E_ij[t-1] + a_plus z_i[t] X_j[t] - a_minus Y_i[t] x_j[t]
        X_j[t] = lambda_plus X_j[t-1] + x_j[t]
        Y_i[t] = lambda_minus (Y_i[t-1] + z_i[t-1])

    with lambda = exp(-dt / tau). A spike of i that comes d steps after an event of j
    tags the synapse with a_plus lambda_plus^d (d = 0 included), an event d steps after
    the spike with -a_minus lambda_minus^d; the tag fades with tau_e. x_j are inputs,
    and recurrent spikes when they arrive. Descending the gradient strengthens what a
    positive reward follows. The reward is one number for all synapses, a reward
    prediction error for example (`learning.reward`); feedback and other learning
    signals are not used. Biases do not learn, and the readout gets the exact gradient
    of the error.

    Parameters
    ----------
    a_plus, a_minus
        Sizes of potentiation and depression per pair.
    tau_plus, tau_minus
        Time constants of the pre- and postsynaptic traces, ms.
    tau_e
        Time constant of the tag, ms.

    Time constants and the ratio of a_minus to a_plus are those of Izhikevich 2007.

    Raises
    ------
    InvalidValue
        If a parameter is out of range.

    References
    ----------
    Izhikevich 2007, doi:10.1093/cercor/bhl152; Fremaux & Gerstner 2016,
    doi:10.3389/fncir.2015.00085.
    """

    a_plus: float = 1.0
    a_minus: float = 1.5
    tau_plus: float = 20.0
    tau_minus: float = 20.0
    tau_e: float = 1000.0

    info: ClassVar[RuleInfo] = RuleInfo(
        name="r-stdp",
        title="Reward-modulated spike-timing-dependent plasticity",
        exact=False,
        hops="none",
        local=True,
        online=True,
        credit="at the end of a trial",
        cells=("LIF", "ALIF"),
        kept="pairs of spikes in both orders, and their correlation with reward",
        dropped="every derivative: no path from the weight to the error is followed",
        reference="Izhikevich 2007, doi:10.1093/cercor/bhl152",
        signal="reward",
    )

    def __post_init__(self) -> None:
        for name in ("a_plus", "a_minus"):
            value = getattr(self, name)
            rule = "must be >= 0 and finite"
            require(0 <= value < np.inf, f"RSTDP.{name}", rule, value)
        hint = "Time constants are in ms."
        for name in ("tau_plus", "tau_minus", "tau_e"):
            value = getattr(self, name)
            rule = "must be > 0 ms and finite"
            require(0 < value < np.inf, f"RSTDP.{name}", rule, value, hint)

    def gradients(
        self,
        network: RecurrentNetwork,
        record: Record,
        signal: LearningSignal,
        threads: int = 1,
    ) -> Gradients:
        """Return minus the change that reward asks for, for a recorded batch.

        Raises
        ------
        InvalidValue
            If cells do not spike, there is no reward, or it has the wrong shape.
        """
        self.check(network)
        reward = signal.reward
        if reward is None:
            raise InvalidValue(
                f"LearningSignal.reward must be given for rule {self.info.name!r}; got "
                "None. (It comes from the loss of a reward task.)"
            )
        shape = (record.n_steps, record.n_samples)
        rule = f"must have shape {shape}"
        require(reward.shape == shape, "LearningSignal.reward", rule, reward.shape)
        signals = kernel_signal(network, record, signal)
        modulator = np.repeat(-reward.T[:, :, None], network.n_rec, axis=2)
        factors = {
            name: float(decay_factor(getattr(self, f"tau_{name}"), network.dt))
            for name in ("plus", "minus", "e")
        }
        coefficients = pairing(
            network.dtype,
            causal=self.a_plus,
            acausal=-self.a_minus * factors["minus"],
            lambda_pre=factors["plus"],
            lambda_post=factors["minus"],
            lambda_e=factors["e"],
            bias=0.0,
            spikes=True,
        )
        return self._sweep(network, record, signals, modulator, coefficients, threads)
