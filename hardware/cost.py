"""What a network costs on a chip: operations, energy and time, NeuroBench metrics.

Operations are counted in runs of the integer emulator. Energy and time come from
published tables of single operations (`hardware.energy_tables`) and nowhere else, each
answer with its assumptions; a chip without such a table has none. Nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware import emulator
from hardware._structure import structure_of
from hardware._violations import Violation
from hardware.check import check
from hardware.chips import CHIPS, ChipSpec, chip
from hardware.description import NetworkDescription
from hardware.energy_tables import ENERGY_TABLES, NO_TABLE, OPERATIONS, EnergyTable
from hardware.mapping import Mapping, place
from hardware.neurobench import WorkloadCounts, count_workload, neurobench_metrics
from spikelearn.errors import InvalidValue

__all__ = ["Cost", "Estimate", "Operations", "cost"]


@dataclass(frozen=True)
class Operations:
    """Operations of one sample, as the mean over the samples.

    Attributes
    ----------
    synaptic_operations
        Weights other than 0 that a spike, or an input other than 0, meets.
    neuron_updates
        Neurons, readout neurons among them, times steps.
    spikes
        Spikes of the recurrent neurons.
    input_events
        Inputs other than 0.
    messages_out
        Spikes that a neuron sends, one for each of its axons: each core that it has
        synapses on, once for `w_rec` and once for `w_out`; None where cores are not
        known.
    messages_in
        What arrives at cores, input among it; None likewise.
    """

    synaptic_operations: float
    neuron_updates: float
    spikes: float
    input_events: float
    messages_out: float | None
    messages_in: float | None


@dataclass(frozen=True)
class Estimate:
    """Energy and time of one sample from one table.

    Attributes
    ----------
    table, source, assumptions
        Where the numbers come from and what one must believe.
    joules
        Energy of one sample.
    breakdown
        Its parts in joules, by operation.
    seconds
        Time of one sample, or None if the table has no times or cores are not known.
    """

    table: str
    source: str
    joules: float
    breakdown: dict[str, float]
    seconds: float | None
    assumptions: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What a network costs on a chip.

    Attributes
    ----------
    chip
        Name of the chip.
    mapping
        The network on its cores.
    samples, steps
        What was run.
    operations
        Of one sample.
    estimates
        Energy and time by every public table of the chip; the first is the answer.
    reason
        Why there is none, or "".
    neurobench
        Metrics by their official names.
    findings
        What of the network does not fit the chip (`hardware.check`): with any, the cost
        is that of a network that would have to be changed first.
    """

    chip: str
    mapping: Mapping
    samples: int
    steps: int
    operations: Operations
    estimates: tuple[Estimate, ...]
    reason: str
    neurobench: dict[str, Any]
    findings: tuple[Violation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values: cores, bytes, operations, energy and the rest."""
        estimates = [asdict(estimate) for estimate in self.estimates]
        mapping = self.mapping
        return {
            "chip": self.chip,
            "fits": not self.findings,
            "findings": [asdict(finding) for finding in self.findings],
            "cores": mapping.n_cores,
            "chips": mapping.n_chips,
            "bytes": mapping.synapse_bytes,
            "footprint_bytes": self.neurobench["Footprint"],
            "samples": self.samples,
            "steps": self.steps,
            "operations": asdict(self.operations),
            "energy": estimates[0] if estimates else None,
            "energy_reason": self.reason,
            "other_estimates": estimates[1:],
            "neurobench": self.neurobench,
            "mapping": {
                "cores": [asdict(core) for core in mapping.cores or ()],
                "utilisation": mapping.utilisation(),
                "unknown_limits": list(mapping.unknown),
            },
        }


def cost(
    network: NetworkDescription,
    chosen: str | Path | ChipSpec,
    batches: Iterable[np.ndarray],
    *,
    threads: int = 1,
) -> Cost:
    """Run a network and say what that costs on a chip.

    Parameters
    ----------
    network
        The network.
    chosen
        Name, file or specification of the chip.
    batches
        Integer inputs (T, S, n_in), all of the same T; every sample counts alike.
    threads
        Threads of the emulator.

    Raises
    ------
    HardwareError
        If one neuron alone exceeds a core of the chip.
    InvalidValue
        If there is no sample, or an input does not fit the network.
    UnknownName, FileAccessError, FileFormatError
        If there is no such chip.
    """
    spec = chip(chosen)
    mapping = place(network, spec)
    own = spec is not CHIPS.get(spec.name)  # a chip of the user's, whatever its name
    tables = () if own else ENERGY_TABLES.get(spec.name, ())
    runs = _counted_runs(network, mapping, batches, tables, threads)
    workload, traffic, seconds = runs
    operations = _operations(network, workload, traffic, mapping)
    estimates = tuple(
        _estimate(table, operations, time, mapping)
        for table, time in zip(tables, seconds.tolist(), strict=True)
    )
    reason = "no public table of single operations is known"
    if not own:
        reason = NO_TABLE.get(spec.name, reason)
    return Cost(
        spec.name,
        mapping,
        workload.samples,
        workload.steps,
        operations,
        estimates,
        "" if estimates else f"{spec.name}: {reason}",
        neurobench_metrics(network, workload),
        check(network, spec),
    )


TRAFFIC = ("input_events", "messages_out", "messages_in")


def _counted_runs(
    network: NetworkDescription,
    mapping: Mapping,
    batches: Iterable[np.ndarray],
    tables: tuple[EnergyTable, ...],
    threads: int,
) -> tuple[WorkloadCounts, np.ndarray, np.ndarray]:
    """Run all batches; return counts, and traffic and times of a sample (means)."""
    cores = _CoreTables.of(network, mapping)
    workload: WorkloadCounts | None = None
    traffic = np.zeros(len(TRAFFIC))
    seconds = np.zeros(len(tables))
    for x in batches:
        record = emulator.run(network, x, record=("spikes", "v"), threads=threads)
        if x.size == 0 or record.spikes is None or record.v is None:
            continue
        counts = count_workload(network, x, record.spikes, record.v)
        workload = counts if workload is None else workload.plus(counts)
        per_core = cores.count(x, record.spikes)
        traffic += [per_core[name].sum() for name in TRAFFIC]
        seconds += [_seconds(table, per_core, mapping) for table in tables]
    if workload is None:
        raise InvalidValue("cost.batches must hold a sample; got none.")
    return workload, traffic / workload.samples, seconds / workload.samples


@dataclass(frozen=True, eq=False)
class _CoreTables:
    """For every source, its synapses and axons on each core: arrays (n_pre, cores)."""

    synapses: dict[str, np.ndarray]
    neurons: np.ndarray  # of each core
    home: np.ndarray  # (n_rec, cores): where a recurrent neuron is

    @classmethod
    def of(cls, network: NetworkDescription, mapping: Mapping) -> _CoreTables:
        net = structure_of(network)
        everything = ((0, net.n_neurons),)  # one core, where cores are not known
        ranges = [(c.first, c.stop) for c in mapping.cores or ()] or everything
        synapses = {}
        for block in net.blocks:
            first = net.n_rec if block.name == "w_out" else 0
            rows = len(block.present)
            columns = [
                block.present[max(a - first, 0) : min(max(b - first, 0), rows)].sum(0)
                for a, b in ranges
            ]
            synapses[block.name] = np.stack(columns, axis=1).astype(np.float64)
        numbers = np.arange(net.n_rec)[:, None]
        home = np.hstack([(numbers >= a) & (numbers < b) for a, b in ranges])
        neurons = np.array([b - a for a, b in ranges], np.float64)
        return cls(synapses, neurons, home.astype(np.float64))

    def count(self, x: np.ndarray, spikes: np.ndarray) -> dict[str, np.ndarray]:
        """Return operations by name, each (T, S, cores), of one run.

        Recurrent spikes are delivered in the step after they were sent.
        """
        sent = (spikes != 0).astype(np.float64)
        late = np.zeros_like(sent)
        late[1:] = sent[:-1]
        arriving = {"w_in": (x != 0).astype(np.float64), "w_rec": late, "w_out": sent}
        axons = {name: (n > 0).astype(np.float64) for name, n in self.synapses.items()}
        outgoing = axons["w_rec"].sum(axis=1), axons["w_out"].sum(axis=1)
        counts = {
            "synaptic_operations": sum(
                arriving[name] @ self.synapses[name] for name in arriving
            ),
            "messages_in": sum(arriving[name] @ axons[name] for name in arriving),
            "spikes": sent @ self.home,
            "messages_out": (late * outgoing[0] + sent * outgoing[1]) @ self.home,
            "input_events": arriving["w_in"],
        }
        shape = counts["spikes"].shape
        updates = np.broadcast_to(self.neurons, shape)
        return {k: np.asarray(v) for k, v in counts.items()} | {
            "neuron_updates": updates
        }


def _seconds(
    table: EnergyTable, per_core: dict[str, np.ndarray], mapping: Mapping
) -> float:
    """Return the time of all samples of a run: the slowest core of every step."""
    if not table.nanoseconds or mapping.n_cores is None:
        return 0.0
    busy = sum(per_core[name] * price for name, price in table.nanoseconds.items())
    slowest = np.asarray(busy).max(axis=2)
    barrier = table.barrier_of(mapping.n_cores)
    return float(slowest.sum() + barrier * slowest.size) * 1e-9


def _operations(
    network: NetworkDescription,
    workload: WorkloadCounts,
    traffic: np.ndarray,
    mapping: Mapping,
) -> Operations:
    events, sent, arrived = traffic.tolist()
    placed = mapping.cores is not None
    return Operations(
        synaptic_operations=sum(workload.operations.values()) / workload.samples,
        neuron_updates=float(workload.steps * (network.n_rec + network.n_out)),
        spikes=workload.spikes / workload.samples,
        input_events=events,
        messages_out=sent if placed else None,
        messages_in=arrived if placed else None,
    )


def _estimate(
    table: EnergyTable, operations: Operations, seconds: float, mapping: Mapping
) -> Estimate:
    breakdown = {
        name: getattr(operations, name) * table.picojoules[name] * 1e-12
        for name in OPERATIONS
        if name in table.picojoules and getattr(operations, name) is not None
    }
    timed = bool(table.nanoseconds) and mapping.n_cores is not None
    return Estimate(
        table=table.name,
        source=table.source,
        joules=sum(breakdown.values()),
        breakdown=breakdown,
        seconds=seconds if timed else None,
        assumptions=table.assumptions,
    )
