"""DECOLLE: deep continuous local learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import InvalidValue
from spikelearn.kernels.adjoint import Signal
from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import AnyRecord, RecurrentNetwork

__all__ = ["DECOLLE"]


@dataclass(frozen=True)
class DECOLLE(PathRule):
    """DECOLLE: a fixed random readout at every layer sends its error back at once.

        dE/dw_ji = sum_t (G^T delta[t])_j e_ji[t]

    with G the random readout of the layer of j, delta[t] the derivative of its loss at
    step t, and e_ji the eligibility of e-prop (psi_j xbar_ji for a LIF cell, as
    published). There is no readout filter on the eligibility and nothing comes from
    other layers. The signal is made by `Feedback("local")`.

    References
    ----------
    Kaiser, Mostafa & Neftci 2020, doi:10.3389/fnins.2020.00424, eqs. 5-9.
    """

    info: ClassVar[RuleInfo] = RuleInfo(
        name="decolle",
        title="Deep continuous local learning",
        exact=False,
        hops="none",
        local=True,
        online=True,
        credit="at the end of a trial, or every K steps",
        cells=("LIF", "ALIF", "rate"),
        kept="paths inside the neuron; the loss of its own layer at the same step",
        dropped="paths through other neurons, other layers, the reset and the readout",
        reference="Kaiser, Mostafa & Neftci 2020, doi:10.3389/fnins.2020.00424",
        signal="local",
    )

    def _signals(
        self, network: RecurrentNetwork, record: AnyRecord, signal: LearningSignal
    ) -> Signal:
        if signal.direct is None:
            raise InvalidValue(
                "rule 'decolle' must have the errors of local readouts; got none. (Set "
                "learning.feedback = 'local', or LearningSignal.direct.)"
            )
        signals = super()._signals(network, record, signal)
        nothing = signals.broadcast * 0
        lbar = np.empty_like(nothing)
        return signals._replace(broadcast=nothing, lbar=lbar, one_signal=False)
