"""Which paths from a neuron to other neurons a learning rule keeps.

Within a neuron every rule keeps the true derivative. The learning signal of neuron j is

    D_j[t] + cross_j[t],  cross_j[t] = sum_k hop_kj back_k[t + d_kj]

where D is the direct effect on the readout, d the synaptic delays, and `kind` says what
comes back from neuron k:

    LOCAL            nothing (cross = 0): e-prop, RFLO
    FULL             dE/dI_k with all later effects: BPTT
    DIAGONAL         the same, over self-connections only: SnAp-1
    ONE_HOP          m_k D_k with m = dz/dI of the same step: MDGL
    ONE_HOP_ONLINE   m_k L_k with the unfiltered signal L; cross[t] also keeps
                     kappa cross[t + 1]: MDGL online
    SMOOTHED         dE/dI_k through the leak of k, with the derivative for the direct
                     effect D_k and the constant mu in its place for all later hops:
                     ModProp
"""

from __future__ import annotations

from typing import Any, NamedTuple

LOCAL, FULL, DIAGONAL, ONE_HOP, ONE_HOP_ONLINE, SMOOTHED = range(6)


class Paths(NamedTuple):
    """The paths of one rule in one network."""

    kind: int
    hop: Any  # (N, n_pad) as (post k, pre j); (1, n_pad), DIAGONAL; LOCAL: no rows
    through_reset: bool
    mu: Any  # scalar of the dtype of hop
