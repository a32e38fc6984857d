"""RFLO: random feedback local online learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikelearn.learning.rules.base import RuleInfo
from spikelearn.learning.rules.paths import PathRule

__all__ = ["RFLO"]


@dataclass(frozen=True)
class RFLO(PathRule):
    """RFLO, for rate units.

        dE/dw_ji = sum_t (B error[t])_j F_kappa(p_ji)[t]
        outside: p_ji[t] = alpha_j p_ji[t-1] + zeta_j f'(u_j[t]) s_i[t-d]
        inside:  p_ji[t] = f'(h_j[t]) eps_i[t],
                 eps_i[t] = alpha_j eps_i[t-1] + zeta_j s_i[t-d]

    with d the delay of the synapse, s_i the output of i through the synaptic filter of
    j (r_i itself without one) and F_kappa the filter of the readout (times its gain).
    It is real-time recurrent learning with the Jacobian cut to the leak, which is also
    what e-prop keeps of a rate unit: the two differ in their cells and, as published,
    in the feedback, which is random here (`feedback="random"`).

    References
    ----------
    Murray 2019, doi:10.7554/eLife.43299.
    """

    info: ClassVar[RuleInfo] = RuleInfo(
        name="rflo",
        title="Random feedback local online learning",
        exact=False,
        hops="none",
        local=True,
        online=True,
        credit="at the end of a trial, or every K steps",
        cells=("rate",),
        kept="the leak of the unit itself",
        dropped="paths through the outputs of other units",
        reference="Murray 2019, doi:10.7554/eLife.43299",
    )
