"""Norse modules in and out, against Norse's own run in float64."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.export.nir import write_nir
from hardware.export.norse import norse_module
from hardware.importing.norse import read_norse
from spikelearn.errors import FileFormatError, HardwareError
from tests.hardware.nir_networks import (
    N_IN,
    N_OUT,
    N_REC,
    random_float_network,
    random_spikes,
)
from tests.oracles.optional import oracle

torch = oracle("torch")
norse = oracle("norse.torch")
boxes = oracle("norse.torch.module.lif_box")

pytestmark = [pytest.mark.torch, pytest.mark.norse]


def tensor(values):
    return torch.tensor(np.asarray(values, np.float64))


def parameters(rng, n, kind="LIFParameters", **changes):
    values = {
        "tau_mem_inv": tensor(1 / rng.uniform(0.006, 0.02, n)),
        "v_th": tensor(rng.uniform(0.8, 1.2, n)),
        "v_leak": tensor(0.0),
        "v_reset": tensor(np.zeros(n)),
    }
    if kind == "LIFParameters":
        values["tau_syn_inv"] = tensor(1 / rng.uniform(0.003, 0.008, n))
    return getattr(norse, kind)(**values | changes)


def recurrent(rng, n_in, n, kind="LIFRecurrentCell", dt=1e-3, **changes):
    return getattr(norse, kind)(
        n_in,
        n,
        p=parameters(rng, n, **changes),
        input_weights=torch.nn.Parameter(tensor(rng.standard_normal((n, n_in)) * 1.5)),
        recurrent_weights=torch.nn.Parameter(tensor(rng.standard_normal((n, n)) * 0.5)),
        dt=dt,
    )


def linear(rng, post, pre, scale=1.0):
    module = torch.nn.Linear(pre, post)
    module.weight.data = tensor(rng.standard_normal((post, pre)) * scale)
    module.bias.data = tensor(rng.standard_normal(post) * 0.1)
    return module


def run(module, x):
    """Run a module that takes one step and its state; return its outputs."""
    found, state = [], None
    with torch.no_grad():
        for row in tensor(x):
            out, state = module(row, state)
            found.append(out.numpy())
    return np.array(found)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["LIFRecurrentCell", "LIFRecurrent"])
def test_a_recurrent_module_gives_the_same_spikes(kind, seed):
    rng = np.random.default_rng(seed)
    module = recurrent(rng, N_IN, N_REC, kind, dt=0.5e-3)
    found = read_norse(module)
    x = random_spikes(seed, samples=3)
    with torch.no_grad():
        theirs = (
            module(tensor(x))[0].numpy() if kind == "LIFRecurrent" else run(module, x)
        )
    record = found.network.run(x)
    assert found.network.dt == 0.5
    assert found.network.dtype == "float64"
    assert 0.02 < theirs.mean() < 0.6
    assert np.array_equal(record.spikes, theirs)
    assert np.array_equal(record.y, theirs), "the readout is the spikes"
    assert {note.subject for note in found.notes} == {"time step", "reset", "surrogate"}
    module.recurrent_weights.data *= 1.5
    assert not np.array_equal(record.spikes, run_again(module, kind, x))


def run_again(module, kind, x):
    with torch.no_grad():
        return (
            module(tensor(x))[0].numpy() if kind == "LIFRecurrent" else run(module, x)
        )


def test_a_chain_gives_the_same_readout_but_for_the_depth():
    rng = np.random.default_rng(0)
    box = norse.LIBoxParameters(tau_mem_inv=tensor(50.0), v_leak=tensor(0.0))
    module = norse.SequentialState(
        linear(rng, 7, N_IN),
        recurrent(rng, 7, N_REC),
        linear(rng, 8, N_REC, 4.0),
        boxes.LIFBoxCell(parameters(rng, 8, "LIFBoxParameters", v_reset=tensor(0.0))),
        linear(rng, N_OUT, 8),
        norse.LIBoxCell(p=box),
    )
    module[1].recurrent_weights.data *= 0.5
    # the bias of a Linear layer acts on a current at once only if there is none
    module[0].bias.data[:] = 0.0
    module[2].bias.data[:] = 0.0
    found = read_norse(module)
    x = random_spikes(1, samples=2)
    theirs = run(module, x)
    record = found.network.run(x)
    assert found.network.layers == (N_REC, 8)
    assert record.spikes[..., N_REC:].sum() > 20
    y = record.y[1:]
    shift = found.network.params.b_out * (1 - 0.05) ** np.arange(1, len(y) + 1)[:, None]
    # our readout starts a step earlier than theirs: the bias has had one step more
    assert np.abs(y - shift[:, None] - theirs[:-1]).max() < 1e-12


def test_a_bias_is_v_leak():
    rng = np.random.default_rng(2)
    module = norse.SequentialState(
        linear(rng, N_REC, N_IN, 2.0),
        boxes.LIFBoxCell(
            parameters(rng, N_REC, "LIFBoxParameters", v_reset=tensor(0.0))
        ),
    )
    module[0].bias.data = tensor(np.full(N_REC, 0.5))
    x = random_spikes(1)
    theirs = run(module, x)
    assert theirs.sum() > 20
    assert np.array_equal(read_norse(module).network.run(x).spikes, theirs)


def test_parts_without_a_form_here_are_named_all_at_once():
    rng = np.random.default_rng(0)
    from norse.torch.functional.reset import reset_subtract

    p = parameters(rng, 4, "LIFBoxParameters", reset_method=reset_subtract)
    module = norse.SequentialState(
        norse.LSNNRecurrentCell(3, 4), boxes.LIFBoxCell(p), torch.nn.Conv2d(1, 1, 3)
    )
    with pytest.raises(FileFormatError) as raised:
        read_norse(module)
    message = str(raised.value)
    assert "module.0 of type LSNNRecurrentCell is not supported" in message
    assert "module.2 of type Conv2d is not supported" in message
    assert (
        "module.1 must have the reset method reset_value; got reset_subtract" in message
    )


def test_parts_of_different_steps_are_refused():
    rng = np.random.default_rng(0)
    module = norse.SequentialState(recurrent(rng, 3, 4), recurrent(rng, 4, 4, dt=2e-3))
    with pytest.raises(FileFormatError, match="one dt"):
        read_norse(module)
    with pytest.raises(FileFormatError, match="there must be neurons"):
        read_norse(torch.nn.Linear(3, 4))


@pytest.mark.parametrize("scaling", ["unit", "leak"])
@pytest.mark.parametrize("tau_syn", [False, True])
@pytest.mark.parametrize("out", [0.0, 15.0])
def test_a_network_becomes_a_module_with_its_spikes(scaling, tau_syn, out):
    for seed in range(3):
        options = {"scaling": scaling, "tau_syn": tau_syn, "tau_out": out}
        network = random_float_network(seed, **options)
        module, notes = norse_module(network)
        x = random_spikes(seed, samples=2)
        record = network.run(x)
        spikes, states = [], None
        with torch.no_grad():
            for row, y in zip(tensor(x), record.y, strict=True):
                value, states = module(row, states)
                spikes.append(states[0].z.numpy())
                assert np.abs(value.numpy() - y).max() < 1e-9
        assert 0.01 < record.spikes.mean() < 0.6
        assert np.array_equal(record.spikes, np.array(spikes))
        assert {note.subject for note in notes} == {"surrogate", "masks"}


@pytest.mark.parametrize("tau_syn", [False, True])
def test_a_module_that_is_read_again_gives_the_same_spikes(tau_syn):
    network = random_float_network(1, tau_syn=tau_syn)
    again = read_norse(norse_module(network)[0]).network
    x = random_spikes(3)
    record, other = network.run(x), again.run(x)
    assert np.array_equal(record.spikes, other.spikes)
    assert np.abs(record.y - other.y).max() < 1e-9


def test_networks_without_a_form_in_norse_are_refused_at_once():
    network = random_float_network(
        0, reset="subtract", adaptive=True, t_ref=4.0, delay=2
    )
    with pytest.raises(HardwareError) as raised:
        norse_module(network)
    for name in ("reset", "beta", "t_ref", "delay"):
        assert f"- {name} must be" in str(raised.value)


@pytest.mark.nir
@pytest.mark.filterwarnings("ignore:nirtorch.load:DeprecationWarning")
@pytest.mark.parametrize("tau_syn", [False, True])
def test_norse_runs_our_nir_files_with_our_spikes(tau_syn, tmp_path):
    """`norse.from_nir` computes in float32; it knows no LI node, so without readout."""
    nir = pytest.importorskip("nir")
    total = 0
    for seed in range(4):
        network = random_float_network(
            seed, tau_syn=tau_syn, scaling="leak", bias=False
        )
        write_nir(network, tmp_path / "a.nir", readout=False)
        module = norse.from_nir(nir.read(tmp_path / "a.nir"), dt=1e-3)
        x = random_spikes(seed)
        found, state = [], None
        with torch.no_grad():
            for row in torch.tensor(x, dtype=torch.float32):
                z, state = module(row, state)
                found.append(z.numpy())
        spikes = network.run(x).spikes
        total += int(spikes.sum())
        assert np.array_equal(np.array(found), spikes)
    assert total > 200
