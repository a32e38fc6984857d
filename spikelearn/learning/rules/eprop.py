"""e-prop: eligibility propagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.rules.paths import PathRule

__all__ = ["EProp"]


@dataclass(frozen=True)
class EProp(PathRule):
    """e-prop, for every cell.

        dE/dw_ji = sum_t L_j[t] F_kappa(e_ji)[t]
        LIF, ALIF: e_ji[t] = psi_j[t] (xbar_ji[t] - beta_j eps_ji[t])
                   eps_ji[t+1] = rho_j eps_ji[t] + e_ji[t]
        rate:      e_ji[t] = dr_j[t]/dw_ji through the leak of j alone

    with the learning signal L_j = sum_k B_jk error_k, the pseudo-derivative psi, the
    presynaptic trace xbar (outputs of i through the synaptic and membrane filters of j)
    and F_kappa the readout's filter. Readout weights and biases get their exact
    gradient.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, eqs. 1-4 and 22-28.
    """

    info: ClassVar[RuleInfo] = RuleInfo(
        name="e-prop",
        title="Eligibility propagation",
        exact=False,
        hops="none",
        local=True,
        online=True,
        credit="at the end of a trial, or every K steps",
        cells=("LIF", "ALIF", "rate"),
        kept="paths inside the neuron: leak, synaptic current, adaptation",
        dropped="paths through the outputs of other neurons and through the reset",
        reference="Bellec et al. 2020, doi:10.1038/s41467-020-17236-y",
    )
