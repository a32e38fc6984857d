"""Backpropagation through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikelearn.kernels.paths import FULL, Paths
from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.rules.paths import PathRule
from spikelearn.learning.rules.sweep import make_paths
from spikelearn.network import RecurrentNetwork

__all__ = ["BPTT"]


@dataclass(frozen=True)
class BPTT(PathRule):
    """Backpropagation through time, with the pseudo-derivative where cells spike.

        S_j[t] = sum_k B_jk out_gain ebar_k[t] + sum_k w_kj dE/di_k[t + d_kj]
        dE/di_j[t] from S_j through the cell j;  dE/dw_ji = sum_t dE/di_j[t] r_i[t - d]

    With symmetric feedback it is the gradient of the loss; for spiking cells, of the
    network whose spikes have psi as their derivative.

    Parameters
    ----------
    reset
        Whether the gradient goes through the reset of spiking cells: "subtract" takes
        v_th z off the next v, "zero" multiplies v by (1 - z). False is the convention
        of e-prop, which stops it there.

    References
    ----------
    Werbos 1990, doi:10.1109/5.58337; for spiking cells Neftci et al. 2019,
    doi:10.1109/MSP.2019.2931595.
    """

    reset: bool = False

    info: ClassVar[RuleInfo] = RuleInfo(
        name="bptt",
        title="Backpropagation through time",
        exact=True,
        hops="all",
        local=False,
        online=False,
        credit="at the end of a trial",
        cells=("LIF", "ALIF", "rate"),
        kept="all paths; the reset only with reset=true",
        dropped="the reset of spiking cells unless reset=true",
        reference="Werbos 1990, doi:10.1109/5.58337",
    )

    def paths(self, network: RecurrentNetwork) -> Paths:
        """Return all paths: the recurrent weights, and the reset if asked for."""
        hop = network.params.w_rec
        return make_paths(network, FULL, hop, through_reset=self.reset)

    def needs(self, network: RecurrentNetwork) -> tuple[str, ...]:
        """Return `v` where the gradient of a reset to zero needs it."""
        to_zero = network.cell_constants.reset_to_zero
        return ("v",) if self.reset and to_zero else ()
