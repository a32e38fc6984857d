"""ModProp: credit over many hops through a time-invariant filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.paths import SMOOTHED, Paths
from spikelearn.learning.rules.base import RuleInfo, check_cell
from spikelearn.learning.rules.cell_types import require_types, type_means
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.rules.sweep import make_paths
from spikelearn.network import RecurrentNetwork

__all__ = ["ModProp"]


@dataclass(frozen=True)
class ModProp(PathRule):
    """ModProp: e-prop, and all hops back with constant slopes and average weights.

        dE/dw_pq = sum_t (D_p[t] + M_p[t] + Gamma_p[t]) e_pq[t]
        Gamma_p[t] = sum_j h_jp g_j[t + d]

    where D is the effect on the readout, M what acts on the neuron itself (firing-rate
    term, local readouts), and g = dE/di in a smoothed network: the neuron that the
    readout hits has its true derivative, all later hops the constant mu in its place,
    the leak is kept, and every weight is the mean over all pairs of the two cell types,
    h. (The published code keeps the leak as well; the filter of the paper,
    mu^(s-1) h^s, is the case without.) That adjoint is linear and time-invariant in the
    signals of the cell types, so that a fixed filter at each synapse can apply it.
    Adaptation of other neurons is left out.

    Parameters
    ----------
    mu
        Stands for the derivative of the activation; 0.25 in the published delayed XOR.

    Raises
    ------
    InvalidValue
        If mu is negative or not finite.

    References
    ----------
    Liu et al. 2022, arXiv:2206.01338, eqs. 6-8.
    """

    mu: float = 0.25

    info: ClassVar[RuleInfo] = RuleInfo(
        name="modprop",
        title="Modulatory propagation",
        exact=False,
        hops="all",
        local=True,
        online=True,
        credit="at the end of a trial",
        cells=("LIF", "ALIF", "rate"),
        kept="paths inside the neuron, and through any number of others with weights "
        "averaged over cell types and the constant mu as the slope",
        dropped="which neuron of a type a path goes through, when it was active, its "
        "adaptation and reset",
        reference="Liu et al. 2022, arXiv:2206.01338",
    )

    def __post_init__(self) -> None:
        finite = 0 <= self.mu < np.inf
        require(finite, "ModProp.mu", "must be >= 0 and finite", self.mu)

    def check(self, network: RecurrentNetwork) -> None:
        """Raise `InvalidValue` if the cell does not suit or cell types are missing."""
        check_cell(self.info, network)
        require_types(self.info.name, network)

    def paths(self, network: RecurrentNetwork) -> Paths:
        """Return the smoothed way back."""
        hop = type_means(network, existing=False)
        return make_paths(network, SMOOTHED, hop, mu=self.mu)
