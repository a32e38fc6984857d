"""What a door out does not know is refused by name, and nothing is written."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from hardware.description import NetworkDescription
from hardware.export.c_header import write_c_header
from hardware.export.netx import write_netx
from hardware.export.nir import write_nir
from hardware.export.runner import write_numpy_runner
from hardware.neurons import ATRLIFParameters, TernaryParameters
from spikelearn.errors import HardwareError
from tests.hardware.networks import random_network

DOORS = {
    "net.h": write_c_header,
    "net.py": write_numpy_runner,
    "net.net": write_netx,
    "net.nir": write_nir,
}
KNOWN = {("net.py", "w_rec.delays")}  # what a door does say


def case(name, *place):
    """Return one case; NIR is written with its own package."""
    marks = [pytest.mark.nir] if name == "net.nir" else []
    return pytest.param(name, DOORS[name], *place, marks=marks)


def plain() -> NetworkDescription:
    return random_network(3, bias=False)


def delayed():
    net = plain()
    delays = np.zeros(net.w_rec.weights.shape, np.int64)
    delays[2, 1] = 3
    return dataclasses.replace(net, w_rec=dataclasses.replace(net.w_rec, delays=delays))


def reset_now_and_then():
    net = plain()
    neurons = dataclasses.replace(net.neurons, reset_interval=7)
    return dataclasses.replace(net, neurons=neurons)


def ternary():
    net = plain()
    n = np.ones(net.n_rec, np.int64)
    neurons = TernaryParameters(n, n, 0 * n, 0 * n, 900 * n, -900 * n)
    return dataclasses.replace(net, neurons=neurons)


def atrlif():
    net = plain()
    n = np.ones(net.n_rec, np.int64)
    neurons = ATRLIFParameters(*(100 * n for _ in range(6)), 0 * n, 0 * n)
    return dataclasses.replace(net, neurons=neurons)


STRANGE = {
    "w_rec.delays": delayed,
    "neurons.reset_interval": reset_now_and_then,
    "neurons must be a part": ternary,
    "neurons must be a part that .* ATRLIF": atrlif,
}


REFUSED = [
    case(*pair) for pair in itertools.product(DOORS, STRANGE) if pair not in KNOWN
]


@pytest.mark.parametrize(("name", "write", "place"), REFUSED)
def test_what_changes_the_network_is_refused(name, write, place, tmp_path):
    with pytest.raises(HardwareError, match=place):
        write(STRANGE[place](), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "write"), [case(name) for name in DOORS])
def test_sparse_blocks_are_blocks_like_any_other(name, write, tmp_path):
    net = plain()
    block = dataclasses.replace(net.w_rec, process="sparse")
    write(dataclasses.replace(net, w_rec=block), tmp_path / name)
    assert (tmp_path / name).exists()
