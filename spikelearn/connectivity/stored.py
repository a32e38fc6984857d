"""What spikelearn ships of connectomes (`data/connectomes/LICENSES.txt`)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from spikelearn.errors import unknown_name

__all__ = ["CONNECTOMES", "read_connectome"]

CONNECTOMES = {
    "celegans": "neurons",
    "optic_lobe": "neurons",
    "potjans_diesmann": "cell types",
}


@cache
def read_connectome(name: str) -> dict[str, Any]:
    """Return what is stored of a connectome, plain values by name.

    Raises
    ------
    UnknownName
        If there is no such connectome.
    """
    if name not in CONNECTOMES:
        raise unknown_name("connectome", name, CONNECTOMES)
    path = files("spikelearn") / "data" / "connectomes" / f"{name}.json"
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values
