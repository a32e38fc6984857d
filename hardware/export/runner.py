"""A description as one Python file that needs only NumPy, and the network beside it."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from hardware.description import NetworkDescription
from hardware.export._supported import DELAYED_LIF, refuse_unsupported
from spikelearn.errors import require
from spikelearn.files import write_text

__all__ = ["RUNNER", "write_numpy_runner"]

RUNNER = "run_network.py"
"""Name of the runner in an export folder."""
_NAME = 'NETWORK = "network.json"'


def write_numpy_runner(network: NetworkDescription | str, path: str | Path) -> None:
    """Write a Python file that runs a network, and the network beside it as JSON.

    The file needs NumPy and nothing of this package; `python FILE x.npy states.npz`
    gives the integers of `hardware.emulator`.

    Parameters
    ----------
    network
        A description, which is written to the name of `path` ending in `.json`; or the
        name of the JSON file (`NetworkDescription.to_json`) that lies beside it already
        or will.
    path
        The Python file, ending in `.py`.

    Raises
    ------
    HardwareError
        If the description has a part that the file does not compute.
    InvalidValue
        If `path` or the name is wrong.
    FileAccessError
        If a file cannot be written; older ones stay as they were.
    """
    target = Path(path)
    require(target.suffix == ".py", "path", "must end in .py", repr(str(path)))
    if isinstance(network, NetworkDescription):
        refuse_unsupported(network, "the NumPy runner", DELAYED_LIF)
        name = target.with_suffix(".json").name
    else:
        name = network
    plain = name == Path(name).name and name.isprintable() and '"' not in name
    rule = "must be the plain name of a file ending in .json"
    require(plain and name.endswith(".json"), "network", rule, repr(name))
    if isinstance(network, NetworkDescription):
        write_text(target.with_name(name), network.to_json())
    source = importlib.resources.files("hardware.export") / "_standalone.py"
    text = source.read_text(encoding="utf-8")
    write_text(target, text.replace(_NAME, f"NETWORK = {name!r}".replace("'", '"'), 1))
