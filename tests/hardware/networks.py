"""Random integer networks that reach the corners of the arithmetic."""

from __future__ import annotations

import dataclasses

import numpy as np

from hardware.description import (
    ATRLIFParameters,
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
    TernaryParameters,
)
from hardware.fuzz import random_connection


def random_network(
    seed,
    n_in=6,
    n_rec=12,
    n_out=3,
    *,
    reset="zero",
    adaptive=False,
    refractory=False,
    bits=8,
    signs=("mixed", "mixed", "mixed"),
    exponents=(0, 0, 0),
    input_bits=0,
    bias=True,
    vth=(200, 1200),
    du=(200, 3500),
    dv=(20, 2000),
    beta=(0, 600),
    db=(0, 400),
    input_weight=None,
):
    rng = np.random.default_rng(seed)

    def registers(low, high, on=True, n=n_rec):
        return rng.integers(low, high + 1, n) * int(on)

    neurons = NeuronParameters(
        du=registers(*du),
        dv=registers(*dv),
        bias_mant=registers(-300, 600, bias),
        bias_exp=registers(0, 3),
        vth=registers(*vth),
        beta=registers(*beta, adaptive),
        db=registers(*db, adaptive),
        refractory=registers(0, 5, refractory),
        reset=reset,
    )
    readout = ReadoutParameters(
        dv=registers(0, 1000, n=n_out),
        bias_mant=registers(-200, 200, bias, n=n_out),
        bias_exp=registers(0, 4, n=n_out),
    )
    shapes = ((n_rec, n_in), (n_rec, n_rec), (n_out, n_rec))
    w_in, w_rec, w_out = (
        random_connection(rng, *shape, bits, sign, exponent)
        for shape, sign, exponent in zip(shapes, signs, exponents, strict=True)
    )
    if input_weight is not None:
        w_in = Connection(np.full((n_rec, n_in), input_weight), exponents[0], bits)
    return NetworkDescription(
        w_in=w_in,
        w_rec=w_rec,
        w_out=w_out,
        neurons=neurons,
        readout=readout,
        input_bits=input_bits,
        dt=1.0,
        metadata={"seed": int(seed)},
    )


def random_input(seed, network, steps, samples=1, rate=0.3):
    rng = np.random.default_rng(seed)
    shape = (steps, samples, network.n_in)
    values = rng.integers(1, network.input_max + 1, shape)
    return (values * (rng.random(shape) < rate)).astype(np.int32)


def with_delays(net, seed, longest=5):
    """Give every block of a network random delays."""
    rng = np.random.default_rng(seed)
    blocks = {
        name: dataclasses.replace(
            block, delays=rng.integers(0, longest + 1, block.weights.shape)
        )
        for name, block in blocks_of(net).items()
    }
    return dataclasses.replace(net, **blocks)


def sparse(net):
    """Ask for sparse processes in all blocks of a network."""
    blocks = {
        name: dataclasses.replace(block, process="sparse")
        for name, block in blocks_of(net).items()
    }
    return dataclasses.replace(net, **blocks)


def blocks_of(net):
    return {name: getattr(net, name) for name in ("w_in", "w_rec", "w_out")}


def with_periodic_reset(net, interval=7, offset=3):
    neurons = dataclasses.replace(
        net.neurons, reset_interval=interval, reset_offset=offset
    )
    return dataclasses.replace(net, neurons=neurons)


def ternary(net, high=400, low=-300):
    """Replace LIF neurons by ternary ones."""
    cell, n = net.neurons, net.n_rec
    shared = {k: getattr(cell, k) for k in ("du", "dv", "bias_mant", "bias_exp")}
    thresholds = {"vth_hi": np.full(n, high), "vth_lo": np.full(n, low)}
    return dataclasses.replace(net, neurons=TernaryParameters(**shared, **thresholds))


def atrlif(net, seed=0, step=200):
    """Replace LIF neurons by ATRLIF ones."""
    cell, n = net.neurons, net.n_rec
    rng = np.random.default_rng(seed)
    neurons = ATRLIFParameters(
        delta_i=cell.du,
        delta_v=cell.dv,
        delta_theta=rng.integers(20, 900, n),
        delta_r=rng.integers(100, 2000, n),
        theta_0=rng.integers(50, 500, n),
        theta_step=np.full(n, step),
        bias_mant=cell.bias_mant,
        bias_exp=cell.bias_exp,
    )
    return dataclasses.replace(net, neurons=neurons)
