"""Published energies and times of single operations, each with its source.

Only such tables are used; where there is none for a chip, its energy is not given.
Numbers of a table are multiplied with counted operations and nothing is calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = [
    "DAVIES_2018",
    "ENERGY_TABLES",
    "HOEPPNER_2019",
    "NO_TABLE",
    "OPERATIONS",
    "SANA_FE",
    "EnergyTable",
]

OPERATIONS = (
    "synaptic_operations",
    "neuron_updates",
    "spikes",
    "messages_out",
    "messages_in",
)
"""What tables may price; `hardware.cost.Operations` says how each is counted."""


@dataclass(frozen=True)
class EnergyTable:
    """Prices of operations.

    Attributes
    ----------
    name, source
        What it is and where it stands.
    picojoules, nanoseconds
        Energy and time of one operation, by its name in `OPERATIONS`. Without times
        there is no latency.
    barrier
        Time of the barrier after every step, ns, by the smallest number of tiles that
        it holds for.
    cores_per_tile
        Cores that share a tile.
    assumptions
        What one must believe to use it.
    """

    name: str
    source: str
    picojoules: Mapping[str, float]
    nanoseconds: Mapping[str, float] = field(default_factory=dict)
    barrier: Mapping[int, float] = field(default_factory=dict)
    cores_per_tile: int = 1
    assumptions: tuple[str, ...] = ()

    def barrier_of(self, cores: int) -> float:
        """Return the time of the barrier for a number of cores, ns."""
        tiles = -(-cores // self.cores_per_tile)
        reached = [time for least, time in self.barrier.items() if least <= tiles]
        return max(reached, default=0.0)


EVERY_UPDATE = "Every neuron is updated at every step, and every update is active."
OUTSIDE = "Input comes from outside: its transport and the host are not counted."
IDLE = "Static power is not counted."

DAVIES_2018 = EnergyTable(
    name="Davies 2018",
    source="Davies et al. 2018, IEEE Micro 38(1):82-99, Table 2",
    picojoules=MappingProxyType({"synaptic_operations": 23.6, "neuron_updates": 81.0}),
    nanoseconds=MappingProxyType({"synaptic_operations": 3.5, "neuron_updates": 8.4}),
    assumptions=(
        "Simulation of the circuit before the chip was made, not a measurement.",
        "23.6 pJ of a synaptic operation is a lower bound in the table.",
        EVERY_UPDATE,
        "Transport of spikes on the chip is not counted: the placement on the mesh is "
        "not known.",
        "Time: the operations of a core follow one another, cores run side by side, the"
        " slowest one counts at each step; no barrier. It is a lower bound.",
        OUTSIDE,
        IDLE,
    ),
)

SANA_FE = EnergyTable(
    name="SANA-FE",
    source="SANA-FE arch/loihi.yaml, commit 8951ab0 (2026-05-28), github SLAM-Lab",
    picojoules=MappingProxyType(
        {
            "synaptic_operations": 35.5,
            "neuron_updates": 51.2 + 21.6,
            "spikes": 69.3,
            "messages_out": 111.0,
        }
    ),
    nanoseconds=MappingProxyType(
        {
            "synaptic_operations": 3.8,
            "neuron_updates": 6.0 + 3.7,
            "spikes": 30.0,
            "messages_out": 5.1,
            "messages_in": 16.0,
        }
    ),
    barrier=MappingProxyType({1: 600.0, 2: 1000.0, 4: 1400.0, 29: 1800.0}),
    cores_per_tile=4,
    assumptions=(
        "Numbers of a simulator, which says that they are from circuit simulations by "
        "Davies et al. 2018; they are not those of that paper's table.",
        "All synapses cost what a dense one does, 35.5 pJ (sparse 33.6, convolution "
        "24.0).",
        "An update is an access (51.2 pJ) and an update (21.6 pJ). " + EVERY_UPDATE,
        "Hops between tiles (3.0 and 4.2 pJ) are not counted: the placement on the mesh"
        " is not known.",
        "Time: the operations of a core follow one another, cores run side by side, the"
        " slowest one counts at each step; then the barrier.",
        OUTSIDE,
        IDLE,
    ),
)

HOEPPNER_2019 = EnergyTable(
    name="Hoeppner 2019",
    source="Hoeppner et al. 2019, arXiv:1903.08941, as in keras-spiking 0.3.0",
    picojoules=MappingProxyType(
        {"synaptic_operations": 450.0, "neuron_updates": 2190.0}
    ),
    assumptions=(
        "Numbers of a paper on a prototype, with programs that are not this network.",
        EVERY_UPDATE,
        "Transport of spikes is not counted.",
        OUTSIDE,
        IDLE,
    ),
)

ENERGY_TABLES: Mapping[str, tuple[EnergyTable, ...]] = MappingProxyType(
    {"loihi1": (DAVIES_2018, SANA_FE), "spinnaker2": (HOEPPNER_2019,)}
)
"""By the name of the chip; the first one is the answer, others stand beside it."""

NO_TABLE: Mapping[str, str] = MappingProxyType(
    {
        "loihi2": "there is no public table of single operations, only of applications",
        "lava": "Lava is a simulator on a CPU; its energy is not that of a chip",
    }
)
"""Why there is no energy, where there is more to say than that no table is known."""
