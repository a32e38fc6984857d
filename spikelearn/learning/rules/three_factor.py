"""What the rules of spike timing share: they differ in signal and coefficients."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from spikelearn.kernels.adjoint import Accumulators
from spikelearn.kernels.three_factor import Drive, Pairing, three_factor
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules.base import RuleInfo, check_cell
from spikelearn.learning.rules.paths import sum_over_samples
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
        drive: Drive,
        pairing: Pairing,
        threads: int,
    ) -> Gradients:
        """Return the gradients of `kernels.three_factor` for a recorded batch."""
        weights = network.kernel_weights()

        def work(start: int, stop: int, out: Accumulators) -> None:
            three_factor(
                network.cell_constants,
                weights,
                record.events,
                record.trajectory,
                drive,
                pairing,
                start,
                stop,
                out,
            )

        return sum_over_samples(network, record.n_samples, threads, work)
