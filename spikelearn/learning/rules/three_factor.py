"""What the rules of spike timing share: they differ in signal and coefficients."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from spikelearn.kernels.adjoint import (
    Accumulators,
    Signal,
    credit_readout,
    filter_signals,
)
from spikelearn.kernels.paths import LOCAL
from spikelearn.kernels.three_factor import Pairing, three_factor
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo, check_cell
from spikelearn.learning.rules.sweep import (
    no_carry,
    padded_rows,
    sum_over_samples,
)
from spikelearn.network import Record, RecurrentNetwork

__all__ = ["SpikeTimingRule", "pairing"]


def pairing(dtype: str, *, spikes: bool, **coefficients: Any) -> Pairing:
    """Return the coefficients of a rule as the kernels read them."""
    scalar = np.dtype(dtype).type
    numbers = {name: scalar(value) for name, value in coefficients.items()}
    return Pairing(spikes=spikes, **numbers)


class SpikeTimingRule:
    """A rule that pairs the events of both sides of a synapse."""

    info: ClassVar[RuleInfo]

    def needs(self, network: RecurrentNetwork) -> tuple[str, ...]:
        """Return the states that `RecurrentNetwork.run` has to record."""
        return ()

    def check(self, network: RecurrentNetwork) -> None:
        """Raise `InvalidValue` if the rule is not defined for a network."""
        check_cell(self.info, network)

    def _sweep(
        self,
        network: RecurrentNetwork,
        record: Record,
        signals: Signal,
        modulator: np.ndarray,
        pairing: Pairing,
        threads: int,
    ) -> Gradients:
        """Return the gradients of `kernels.three_factor` for a recorded batch.

        `modulator` (B, T, n_rec) turns eligibility into gradients; the readout gets its
        exact gradient, as in `kernels.adjoint`.
        """
        weights, trajectory = network.kernel_weights(), record.trajectory
        rows = padded_rows(network, modulator)
        carry, _ = no_carry(network, record.n_samples, LOCAL)

        def work(start: int, stop: int, out: Accumulators) -> None:
            filter_signals(weights.kappa, signals, start, stop)
            credit_readout(weights, trajectory, signals.ebar, 0, start, stop, out)
            three_factor(
                network.kernel_cell,
                weights,
                record.events,
                trajectory,
                rows,
                pairing,
                start,
                stop,
                carry.later,
                out,
            )

        return sum_over_samples(network, record.n_samples, threads, [work])
