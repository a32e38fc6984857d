"""MDGL: multidigraph learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from spikelearn.errors import unknown_name
from spikelearn.kernels.paths import ONE_HOP, ONE_HOP_ONLINE, Paths
from spikelearn.learning.rules.base import RuleInfo, check_cell
from spikelearn.learning.rules.cell_types import require_types, type_means
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.rules.sweep import make_paths
from spikelearn.network import RecurrentNetwork

__all__ = ["MDGL"]

VARIANTS = ("cell-types", "one-hop", "online")


@dataclass(frozen=True)
class MDGL(PathRule):
    """MDGL: e-prop, and one hop back through type-specific neuromodulation.

        dE/dw_pq = sum_t (D_p[t] + M_p[t] + Gamma_p[t]) e_pq[t]
        Gamma_p[t] = sum_j h_jp zeta_j psi_j[t+d] D_j[t+d]
        D_j[t] = sum_k B_jk out_gain sum_(s >= t) kappa^(s-t) error_k[s]

    with M what acts on the neuron itself (firing-rate term, local readouts), d the
    delay from p to j, and h_jp the mean of the weights between the types of j and p for
    connections that exist. The sum over j within a type is what a diffuse
    neuromodulator carries.

    Parameters
    ----------
    variant
        "cell-types"; "one-hop" with h the weights themselves (the same truncation
        without averages); "online" with the type means and the error of the moment,
        Gamma_p[t] = kappa Gamma_p[t+1] + sum_j h_jp zeta_j psi_j[t+d] L_j[t+d] and
        L_j = sum_k B_jk out_gain error_k, which forward traces can compute (`start`
        needs delays of a step).
    non_local
        Use the means for all pairs of neurons, not only for those connected.

    References
    ----------
    Liu et al. 2021, doi:10.1073/pnas.2111821118, eqs. 5-7.
    """

    variant: str = "cell-types"
    non_local: bool = False

    info: ClassVar[RuleInfo] = RuleInfo(
        name="mdgl",
        title="Multidigraph learning",
        exact=False,
        hops="one",
        local=True,
        online=True,
        credit="at the end of a trial; variant online also every K steps",
        cells=("LIF", "ALIF", "rate"),
        kept="paths inside the neuron, and through one other neuron with weights "
        "averaged over cell types (variant one-hop: with the weights themselves)",
        dropped="paths through more neurons and through the reset; the leak of the "
        "neuron in between",
        reference="Liu et al. 2021, doi:10.1073/pnas.2111821118",
    )

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise unknown_name("variant of mdgl", self.variant, VARIANTS)

    def check(self, network: RecurrentNetwork) -> None:
        """Raise `InvalidValue` if the cell does not suit or cell types are missing."""
        check_cell(self.info, network)
        if self.variant != "one-hop":
            require_types(self.info.name, network)

    def paths(self, network: RecurrentNetwork) -> Paths:
        """Return one hop back."""
        kind = ONE_HOP_ONLINE if self.variant == "online" else ONE_HOP
        if self.variant == "one-hop":
            return make_paths(network, kind, network.params.w_rec)
        hop = type_means(network, existing=True)
        if not self.non_local:
            hop = np.where(cast(np.ndarray, network.mask), hop, 0.0)
        return make_paths(network, kind, hop)
