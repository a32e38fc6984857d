"""Quantisation-aware training: what is trained is what will run."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from hardware import emulator
from hardware.check import check
from hardware.chips import ChipSpec, Limit
from hardware.quantization import integer_input
from hardware.rounding import Rounding, Scales
from hardware.trained import evaluate_run, trained_backend
from hardware.training import FanIn, IntegerBackend, from_config
from spikelearn import ALIF, BPTT, LIF, EProp
from spikelearn.cli.deployment import export_run
from spikelearn.connectivity import stack
from spikelearn.errors import HardwareError, InvalidValue
from spikelearn.runs import evaluate, resolve_config, resume, train
from spikelearn.runs.build import build_trainer
from tests.helpers import make_input, make_network, make_signal

TINY = (
    "task.name=digits-rows",
    "n_rec=16",
    "iterations=30",
    "evaluate_every=10",
    "checkpoint_every=7",
    "evaluate_samples=50",
)
CELLS = {
    "zero": LIF(tau_m=10.0, reset="zero", t_ref=3.0),
    "zero-synaptic": LIF(tau_m=10.0, tau_syn=4.0, reset="zero"),
    "alif": ALIF(tau_m=10.0, tau_a=60.0, beta=0.2, t_ref=4.0),
    "leak": ALIF(input_scaling="leak", v_th=0.05, beta=0.01),
}
DELAY = np.random.default_rng(1).integers(1, 5, (20, 20))


def config(*overrides):
    return resolve_config({}, (*TINY, *overrides))


def calibrated(network, x, bits=8):
    return IntegerBackend.calibrated(network, x, input_bits=0, bits=bits)


@pytest.mark.parametrize("name", CELLS)
def test_the_record_is_that_of_the_integers(name):
    network = make_network(n_rec=20, cell=CELLS[name], drive=2.0, bias=0.01)
    x = make_input(n_steps=60)
    backend = calibrated(network, x)
    running, record = backend.run(network, x, ("v", "a", "i"), threads=1)
    description = backend.describe(network)
    run = emulator.run(description, integer_input(x, 0))
    np.testing.assert_array_equal(record.spikes, run.spikes)
    assert record.spikes.sum() > 100
    np.testing.assert_array_equal(record.spikes == 1, record.distance > 0)
    np.testing.assert_allclose(record.y, run.y / backend.scales.output)
    # Run the float network with the weights that the integers stand for, for one step
    # from every state of the integers: it meets the threshold with the same voltage.
    scale = backend.scales.voltages[0]
    after = run.v / scale
    cell = network.cell_constants
    alpha = 1 - description.neurons.dv / 4096
    expected = alpha * after[:-1] + record.state("i")[1:] * cell.zeta
    expected += running.params.bias
    if not cell.reset_to_zero:
        expected -= run.spikes[:-1] * (description.neurons.vth * 64 / scale)
    np.testing.assert_allclose(record.state("v")[1:], expected, atol=4 / scale)


def test_refractory_neurons_have_no_distance():
    network = make_network(n_rec=20, cell=CELLS["zero"], drive=3.0)
    x = make_input(n_steps=60)
    _, record = calibrated(network, x).run(network, x, (), threads=1)
    spikes = record.spikes
    silent = np.zeros(spikes.shape, bool)
    for t, b, j in np.argwhere(spikes):
        silent[t + 1 : t + 3, b, j] = True  # t_ref of 3 steps leaves 2
    np.testing.assert_array_equal(np.isneginf(record.distance), silent)


@pytest.mark.parametrize("delay", [1, DELAY], ids=["one step", "delays"])
@pytest.mark.parametrize("rule", [EProp(), BPTT()], ids=["e-prop", "bptt"])
@pytest.mark.parametrize("name", CELLS)
def test_eight_bits_have_about_the_gradient_of_the_float_network(name, rule, delay):
    network = make_network(n_rec=20, cell=CELLS[name], drive=1.5, delay=delay)
    network.params.w_rec[...] *= 0.2  # little chaos
    x = make_input(n_steps=40)
    signal = make_signal(network, x)
    cosines = []
    for bits in (8, 2):
        backend = calibrated(network, x, bits)
        needs = rule.needs(network)
        running, record = backend.run(network, x, needs, threads=1)
        integer = rule.gradients(running, record, signal).arrays()["w_rec"]
        whole = network.run(x, record=needs)
        wanted = rule.gradients(network, whole, signal).arrays()["w_rec"]
        sizes = np.linalg.norm(integer) * np.linalg.norm(wanted)
        cosines.append(float((integer * wanted).sum() / sizes))
    assert cosines[0] > 0.9
    assert cosines[1] < cosines[0]


def test_steps_move_the_float_weights_behind_the_integers():
    trainer = build_trainer(config("hardware.weight_bits=3"), hardware=from_config)
    before = trainer.network.params.w_rec.copy()
    ran = trainer.running().params.w_rec.copy()
    trainer.step()
    after = trainer.network.params.w_rec
    assert not np.array_equal(before, after)
    assert np.abs(after - before).max() < np.abs(before - ran).max()
    levels = np.unique(ran)
    assert len(levels) <= 8 < len(np.unique(after))


def test_what_was_trained_is_what_runs(tmp_path):
    run = train(
        config("hardware.weight_bits=4"), tmp_path / "run", hardware=from_config
    )
    scores = run.folder.result()["test"]
    assert dataclasses.asdict(evaluate_run(run, "test")) == scores
    exported = export_run(run)
    assert dataclasses.asdict(exported.fixed_scores) == scores
    assert exported.report.bits == 4
    assert max(block.relative_error for block in exported.report.blocks) < 1e-5
    other = export_run(run, tmp_path / "other", bits=3, strict=False)
    assert dataclasses.asdict(other.fixed_scores) != scores
    assert trained_backend(train(config(), tmp_path / "float")) is None


def test_an_interrupted_run_goes_on_with_its_scales(tmp_path):
    given = config("hardware.weight_bits=4")
    whole = train(given, tmp_path / "whole", hardware=from_config)

    class Stop(Exception):
        pass

    def stop(metrics):
        if metrics.iteration == 17:
            raise Stop

    with pytest.raises(Stop):
        train(given, tmp_path / "cut", progress=stop, hardware=from_config)
    resumed = resume(tmp_path / "cut", hardware=from_config)
    mine, theirs = (trained_backend(r) for r in (whole, resumed))
    assert mine.scales == theirs.scales
    for name, array in whole.network.params.arrays().items():
        np.testing.assert_array_equal(array, resumed.network.params.arrays()[name])
    assert whole.folder.result()["test"] == resumed.folder.result()["test"]


def test_fan_in_keeps_the_largest_weights():
    network = make_network(n_in=5, n_rec=9, drive=1.0)
    w = np.hstack([network.params.w_in, network.params.w_rec]).copy()
    FanIn(4)(network)
    kept = np.hstack([network.params.w_in, network.params.w_rec])
    for row, new in zip(w, kept, strict=True):
        largest = np.argsort(-np.abs(row))[:4]
        expected = np.zeros_like(row)
        expected[largest] = row[largest]
        np.testing.assert_array_equal(new, expected)
    network.params.w_in[...] = 0.25
    FanIn(4)(network)
    kept = np.hstack([network.params.w_in, network.params.w_rec])
    assert ((kept != 0).sum(axis=1) == 4).all(), "equal sizes too"
    before = kept.copy()
    FanIn(14)(network)
    np.testing.assert_array_equal(
        np.hstack([network.params.w_in, network.params.w_rec]), before
    )
    with pytest.raises(InvalidValue, match="must be >= 1"):
        FanIn(0)


def test_what_fan_in_keeps_is_what_the_check_counts():
    """Of the readout too; a network is counted alike before and after."""
    spec = ChipSpec("own", fan_in=Limit(4, "test"))
    network = make_network(n_in=5, n_rec=9, drive=1.0)
    w_out = network.params.w_out.copy()
    finding = check(network, spec)[0]
    assert "fan-in" in finding.place and "hardware.fan_in" in finding.remedy
    assert check(network, spec, fan_in=4) == () != check(network, spec, fan_in=5)
    FanIn(4)(network)
    assert check(network, spec, trained=True) == () != check(network, spec)
    for row, new in zip(w_out, network.params.w_out, strict=True):
        largest = np.argsort(-np.abs(row))[:4]
        assert set(np.flatnonzero(new)) == set(largest)
        np.testing.assert_array_equal(new[largest], row[largest])
    network.params.w_out[...] = 0.0
    assert check(network, spec, fan_in=5)[0].value == "5", "zeros may grow"
    with pytest.raises(InvalidValue, match=r"check.fan_in must be >= 1"):
        check(network, spec, fan_in=0)


def test_limits_hold_through_training_with_masks_and_signs():
    given = config(
        "hardware.weight_bits=4",
        "hardware.fan_in=6",
        "excitatory_fraction=0.75",
        "density=0.8",
        "lr=0.1",
    )
    trainer = build_trainer(given, hardware=from_config)
    first = trainer.network.params.w_rec != 0
    for _ in range(10):
        trainer.step()
        for network in (trainer.network, trainer.running()):
            w_in, w_rec = network.params.w_in, network.params.w_rec
            assert ((w_in != 0).sum(1) + (w_rec != 0).sum(1)).max() <= 6
            assert (w_rec * network.signs >= 0).all()
            assert not w_rec[~network.mask].any()
    assert ((trainer.network.params.w_rec != 0) != first).any(), "connections change"


def test_weights_stay_within_the_largest_mantissa():
    network = make_network(n_rec=6)
    backend = IntegerBackend(Rounding(8), 0, Scales((1e6,), 1e6))
    network.params.w_rec[2, 3] = 1e3
    network.params.w_out[0, 1] = -1e3
    small = network.params.w_in.copy()
    backend.project(network)
    largest = 254 * 64 * 2**7 / 1e6
    gain = network.readout.factors(network.dt)[1]
    assert network.params.w_rec[2, 3] == pytest.approx(largest)
    assert network.params.w_out[0, 1] == pytest.approx(-largest / gain)
    np.testing.assert_array_equal(network.params.w_in, small)


def test_biases_stay_within_their_registers():
    network = make_network(n_rec=6)
    backend = IntegerBackend(Rounding(8), 0, Scales((1e6,), 1e7))
    network.params.bias[2], network.params.b_out[0] = 1e3, -1e3
    backend.project(network)
    assert network.params.bias[2] == pytest.approx(4095 * 2**7 / 1e6)
    assert network.params.b_out[0] == pytest.approx(-4095 * 2**7 / 1e7)
    description = backend.describe(network)
    assert description.neurons.bias_mant[2] == -description.readout.bias_mant[0] == 4095


def test_only_the_layer_that_overflowed_is_scaled_down():
    network = make_network(
        n_in=4, n_rec=12, drive=1.5, cell=LIF(), **stack(4, [7, 5], 2)
    )
    x = make_input(n_steps=60)
    backend = calibrated(network, x)
    first, second = backend.scales.voltages
    network.params.w_rec[7:] *= 200.0
    for _ in range(20):
        before = backend.scales
        backend.run(network, x, (), threads=1)
        if backend.scales == before:
            break
    assert backend.scales.voltages[0] == first
    assert backend.scales.voltages[1] < second
    run = emulator.run(backend.describe(network), integer_input(x, 0))
    assert run.u_wraps == run.v_saturations == 0


def test_weights_that_run_away_are_an_error():
    network, x = make_network(n_rec=12, drive=1.5), make_input(n_steps=60)
    backend = calibrated(network, x)
    network.params.w_in[...] *= 1e8
    with pytest.raises(HardwareError, match=r"states that run away .*optimizer\.lr"):
        for _ in range(60):
            backend.run(network, x, (), threads=1)
    assert np.rint(backend.scales.voltages[0] / 64) > 0, "as it was before"


def test_the_best_weights_keep_their_scales(tmp_path):
    """Scales that shrink after the best iteration do not change what is scored."""

    def shrinking(*given):
        backend, constraint = from_config(*given)
        run, score, calls = backend.run, backend.evaluate, []

        def run_and_shrink(*arguments, **options):
            result = run(*arguments, **options)
            (voltage,), output = backend.scales.voltages, backend.scales.output
            backend.scales = Scales((voltage / 2,), output / 2)
            return result

        def worse_each_time(network, task, loss, split, **options):
            calls.append(split)
            scores = score(network, task, loss, split, **options)
            return (
                scores
                if split == "test"
                else replace(scores, accuracy=-float(len(calls)))
            )

        backend.run, backend.evaluate = run_and_shrink, worse_each_time
        return backend, constraint

    given = config("hardware.weight_bits=4", "iterations=6", "evaluate_every=2")
    run = train(given, tmp_path / "shrinking", hardware=shrinking)
    assert run.best_iteration == 0
    best = trained_backend(run).scales
    last = run.folder.read_checkpoint({"backend/scales": np.zeros(2)})["backend/scales"]
    assert last[1] == best.output / 2**6
    scores = run.folder.result()["test"]
    assert dataclasses.asdict(export_run(run, strict=False).fixed_scores) == scores


def test_a_run_of_integers_is_not_scored_or_rounded_in_another_way(tmp_path):
    run = train(config("hardware.weight_bits=4"), tmp_path / "r", hardware=from_config)
    with pytest.raises(InvalidValue, match="must be trained in floating point"):
        evaluate(run.folder.path)
    with pytest.raises(InvalidValue, match="must be 'nearest' for a run"):
        export_run(run, rounding="floor")


def test_states_of_a_trained_network_have_room():
    network = make_network(n_rec=20, drive=1.5)
    x = make_input(n_steps=60)
    backend = calibrated(network, x)
    run = emulator.run(backend.describe(network), integer_input(x, 0))
    assert np.abs(run.v).max() * 8 < 2**23
    assert run.u_wraps == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("task.name=dms",), "real values, which have no integer form"),
        (("cell=rate", "hardware.weight_bits=4"), "cells must spike"),
        (("delay=64",), "recurrent delays must be at most 63 steps"),
    ],
)
def test_what_has_no_integers_is_refused_before_training(overrides, message, tmp_path):
    given = resolve_config({}, (*TINY[1:], "task.name=digits-rows", *overrides))
    given = resolve_config(given.to_dict(), ["hardware.weight_bits=4"])
    with pytest.raises(HardwareError, match=message):
        train(given, tmp_path / "run", hardware=from_config)
    assert not (tmp_path / "run").exists()


def test_a_hardware_section_without_hardware_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match=r"Pass hardware\.training\.from_config"):
        train(config("hardware.weight_bits=4"), tmp_path / "run")
    with pytest.raises(InvalidValue, match="update_every must be 0 with a backend"):
        build_trainer(
            config("hardware.weight_bits=4", "update_every=2"), hardware=from_config
        )
