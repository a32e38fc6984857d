"""SnAp-1: real-time recurrent learning with a diagonal Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikelearn.kernels.paths import DIAGONAL, Paths
from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.rules.bptt import BPTT
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.rules.sweep import make_paths
from spikelearn.network import RecurrentNetwork

__all__ = ["SnAp1"]


@dataclass(frozen=True)
class SnAp1(PathRule):
    """SnAp-1: the influence of a weight on its own postsynaptic neuron, in full.

    The eligibility of e-prop with the paths from the output of a neuron to itself kept
    as well, the reset and the self-connection:

        e_ji[t] = psi_j (m_ji[t] - beta_j eps_ji[t]),  eps as in e-prop
        m_ji[t] = alpha_m m_ji[t-1] + zeta s_ji[t] - v_th e_ji[t-1]   (reset "subtract")
        s_ji[t] = alpha_s s_ji[t-1] + r_i[t-d] + w_jj e_ji[t-d_jj]

    Reset "zero" takes m_ji[t] := (1 - z_j) m_ji[t] - v_j e_ji[t] after the step; rate
    units have no reset. For rate units without self-connections it is e-prop. It is
    also the rule that OSTL uses when it keeps the diagonal of the recurrent Jacobian
    (Bohnstingl et al. 2022, doi:10.1109/TNNLS.2022.3153985).

    References
    ----------
    Menick et al. 2021, arXiv:2006.07232, section 3.
    """

    info: ClassVar[RuleInfo] = RuleInfo(
        name="snap-1",
        title="Sparse one-step approximation of RTRL, diagonal",
        exact=False,
        hops="none",
        local=True,
        online=True,
        credit="at the end of a trial, or every K steps",
        cells=("LIF", "ALIF", "rate"),
        kept="paths inside the neuron, its reset and its self-connection",
        dropped="paths through the outputs of other neurons",
        reference="Menick et al. 2021, arXiv:2006.07232",
    )

    def paths(self, network: RecurrentNetwork) -> Paths:
        """Return the paths from a neuron to itself."""
        hop = network.params.w_rec
        return make_paths(network, DIAGONAL, hop, through_reset=True)

    def needs(self, network: RecurrentNetwork) -> tuple[str, ...]:
        """Return what BPTT through the reset needs."""
        return BPTT(reset=True).needs(network)
