"""A network description as a graph of Lava processes.

::

    RingBuffer -> Dense w_in -> neurons -> Dense w_out -> readout
                                neurons -> Dense w_rec -> neurons

A block of synapses is a `Dense`, a `Sparse`, or a `DelayDense` if it has delays. Each
sends at a step what it received at the step before. Emulator step t is
therefore Lava step t + 1 (counted from zero) in the neurons and t + 2 in the readout,
and the recurrent `Dense` is the delay of one step that the emulator has. A bias would
act in those first steps already, so it is set only when they are over.

Neurons become Lava's own `LIF`, `LIFReset`, `TernaryLIF` or `ATRLIF`; what none of them
computes becomes the `AdaptiveLIF` of `hardware.lava_processes`. The readout is a `LIF`
with the largest threshold. Every process is mapped to its model by instance: Lava then
does not search (and execute) the Python files beside the process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hardware.description import NetworkDescription
from hardware.emulator import check_input
from hardware.export import _processes as processes
from hardware.lava_processes import _lava
from spikelearn.errors import require
from spikelearn.files import write_text

__all__ = ["LavaGraph", "LavaRecord", "build", "write_script"]

NEURON_LATENCY = processes.NEURON_LATENCY
READOUT_LATENCY = 2
SIGNED_MESSAGE_BITS = 2


@dataclass(frozen=True, eq=False)
class LavaRecord:
    """States of one run of Lava, aligned with the steps of the emulator.

    Attributes
    ----------
    u, v, b
        int32 `(T, n_rec)`; `b` is 0 for neurons without adaptation.
    r
        int32 `(T, n_rec)` refractory state of ATRLIF neurons, else 0.
    spikes
        uint8 `(T, n_rec)`, int8 of ternary neurons.
    y
        int32 `(T, n_out)`.
    run_seconds
        Time that Lava took for the steps of the input, without its start.
    """

    u: np.ndarray
    v: np.ndarray
    b: np.ndarray
    r: np.ndarray
    spikes: np.ndarray
    y: np.ndarray
    run_seconds: float


@dataclass
class LavaGraph:
    """Connected Lava processes of one network and one input.

    Attributes
    ----------
    source, w_in, neurons, w_rec, w_out, readout
        The processes; attach monitors to them before `run`.
    models
        Process model of every process instance.
    """

    description: NetworkDescription
    steps: int
    source: Any
    w_in: Any
    neurons: Any
    w_rec: Any
    w_out: Any
    readout: Any
    models: dict[Any, type]
    record_folder: Path | None
    _started: bool = field(default=False, repr=False)
    _seconds: float = field(default=0.0, repr=False)

    @property
    def total_steps(self) -> int:
        """Steps that Lava runs: those of the input and the latency of the readout."""
        return self.steps + READOUT_LATENCY

    def run_config(self) -> Any:
        """Return the run configuration: fixed point, models by instance."""
        from lava.magma.core.run_configs import Loihi2SimCfg

        return Loihi2SimCfg(
            select_tag="fixed_pt", exception_proc_model_map=dict(self.models)
        )

    def run(self, stop: bool = True) -> None:
        """Run all steps, once.

        Parameters
        ----------
        stop
            End the processes of Lava afterwards. With False, read monitors first and
            then call `stop` yourself.

        Raises
        ------
        InvalidValue
            If it ran before: Lava crashes when it is run after a stop.
        """
        from lava.magma.core.run_conditions import RunSteps

        require(not self._started, "LavaGraph.run", "works once", "a second call")
        self._started = True
        config = self.run_config()
        for process, registers in (
            (self.neurons, self.description.neurons),
            (self.readout, self.description.readout),
        ):
            self.source.run(condition=RunSteps(num_steps=1), run_cfg=config)
            process.bias_mant.set(registers.bias_mant)
        begun = time.perf_counter()
        self.source.run(condition=RunSteps(num_steps=self.steps), run_cfg=config)
        self._seconds = time.perf_counter() - begun
        if stop:
            self.stop()

    def stop(self) -> None:
        """End the processes of Lava."""
        self.source.stop()

    def record(self) -> LavaRecord:
        """Read what the run has recorded.

        Raises
        ------
        InvalidValue
            If the graph was built without `record_folder`.
        """
        from hardware.lava_processes.recording.models import STATES, open_record

        require(
            self.record_folder is not None,
            "LavaGraph.record",
            "needs a graph built with record_folder",
            None,
        )
        inner = slice(NEURON_LATENCY, NEURON_LATENCY + self.steps)
        outer = slice(READOUT_LATENCY, READOUT_LATENCY + self.steps)
        folder, path = self.record_folder, processes.record_path
        neurons = open_record(path(folder, "neurons"))[inner]
        readout = open_record(path(folder, "readout"))[outer]
        states = {name: np.array(neurons[:, k]) for k, name in enumerate(STATES)}
        signed = self.description.neurons.lowest_spike < 0
        states["spikes"] = states["spikes"].astype(np.int8 if signed else np.uint8)
        y = np.array(readout[:, STATES.index("v")])
        return LavaRecord(**states, y=y, run_seconds=self._seconds)


def build(
    description: NetworkDescription,
    x: np.ndarray,
    record_folder: str | Path | None = None,
) -> LavaGraph:
    """Build the Lava graph of a network for one input.

    Parameters
    ----------
    description
        The network.
    x
        Integers `(T, n_in)` in `0..description.input_max`.
    record_folder
        An existing folder in which the neuron models write their states at every step
        (see `LavaGraph.record`), or None.

    Returns
    -------
    LavaGraph
        Connected, not yet compiled or run.

    Raises
    ------
    MissingDependency
        If Lava cannot be imported.
    InvalidValue
        If `x` is wrong.
    """
    _lava.prepare()
    from lava.proc.io.source import PySendModelFixed, RingBuffer

    x = np.asarray(x)
    require(x.ndim == 2, "x", "must have the axes (time, input)", f"shape {x.shape}")
    require(len(x) >= 1, "x", "must have at least one time step", f"shape {x.shape}")
    checked = check_input(description, x[:, None])[:, 0]
    padding = np.zeros((READOUT_LATENCY, description.n_in), np.int32)
    source = RingBuffer(data=np.concatenate([checked, padding]).T.copy())
    signed = SIGNED_MESSAGE_BITS if description.neurons.lowest_spike < 0 else 0
    w_in, in_model = processes.synapses(description.w_in, description.input_bits)
    w_rec, rec_model = processes.synapses(description.w_rec, signed)
    w_out, out_model = processes.synapses(description.w_out, signed)
    folder = None if record_folder is None else Path(record_folder)
    steps = len(x) + READOUT_LATENCY
    neurons, neuron_model = processes.neurons(description, folder, steps)
    readout, readout_model = processes.readout(description, folder, steps)
    source.s_out.connect(w_in.s_in)
    w_in.a_out.connect(neurons.a_in)
    neurons.s_out.connect(w_rec.s_in)
    w_rec.a_out.connect(neurons.a_in)
    neurons.s_out.connect(w_out.s_in)
    w_out.a_out.connect(readout.a_in)
    models = {
        source: PySendModelFixed,
        w_in: in_model,
        w_rec: rec_model,
        w_out: out_model,
        neurons: neuron_model,
        readout: readout_model,
    }
    return LavaGraph(
        description=description,
        steps=len(x),
        source=source,
        w_in=w_in,
        neurons=neurons,
        w_rec=w_rec,
        w_out=w_out,
        readout=readout,
        models=models,
        record_folder=folder,
    )


_SCRIPT = '''"""Run an integer network in Lava and compare it with its test vectors.

    python {script} [sample]

Needs the package `hardware` of spikelearn and lava-nc. The network lies in {data!r}.
"""

import sys
import tempfile
from pathlib import Path

from hardware.description import NetworkDescription
from hardware.export.lava import build


def main() -> None:
    network = NetworkDescription.load(Path(__file__).with_name({data!r}))
    vectors = network.vectors
    sample = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with tempfile.TemporaryDirectory() as folder:
        # RingBuffer -> Dense -> neurons <-> Dense;  neurons -> Dense -> readout
        graph = build(network, vectors.x[:, sample], record_folder=folder)
        graph.run()
        lava = graph.record()
    print(f"{{lava.spikes.sum()}} spikes in {{graph.steps}} steps")
    for name in ("u", "v", "b", "spikes", "y"):
        expected = getattr(vectors, name)[:, sample]
        differing = int((getattr(lava, name) != expected).sum())
        print(f"{{name}}: {{differing}} of {{expected.size}} values differ")


if __name__ == "__main__":
    main()
'''


def write_script(description: NetworkDescription, path: str | Path) -> Path:
    """Write a Python script that runs the network in Lava, and the network beside it.

    Parameters
    ----------
    description
        A network with test vectors.
    path
        The script, ending in `.py`; the network goes to the same name ending in `.h5`.

    Returns
    -------
    Path
        The file of the network.

    Raises
    ------
    InvalidValue
        If there are no test vectors or `path` does not end in `.py`.
    FileAccessError
        If a file cannot be written.
    """
    script = Path(path)
    require(script.suffix == ".py", "path", "must end in .py", repr(str(path)))
    require(
        description.vectors is not None,
        "description.vectors",
        "must be there to give the script an input",
        None,
        "add the vectors of hardware.emulator.run",
    )
    data = script.with_suffix(".h5")
    description.save(data)
    write_text(script, _SCRIPT.format(script=script.name, data=data.name))
    return data
