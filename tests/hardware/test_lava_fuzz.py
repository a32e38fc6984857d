"""Random integer networks: emulator and Lava must agree in every value.

The named networks (`CASES`) and the first of `spikelearn verify --fuzz` run in two
child processes each, once per module; the tests only look at them.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hardware import emulator
from hardware.description import keep_bits
from hardware.fuzz import MODELS, compare_cases, fuzz, random_case, run_cases
from hardware.lava_processes.runner import run_lava
from hardware.verification import compare
from spikelearn.errors import InvalidValue, OracleFailure
from tests.hardware.networks import random_input, random_network

pytestmark = pytest.mark.lava

STEPS = 300
EXC, INH, MIX = "excitatory", "inhibitory", "mixed"
ADAPTIVE = {"adaptive": True}
FULL = {"adaptive": True, "refractory": True}
SOFT = {"reset": "subtract"}
BIG = {"vth": (20_000, 131_071), "du": (0, 400), "dv": (0, 200)}
# Currents are multiples of 2**20, so that they meet the ends of 24 bits exactly.
EDGES = {
    "bits": 2,
    "input_weight": -256,
    "exponents": (7, 7, 7),
    "du": (4095, 4095),
    "vth": (0, 3000),
}

CASES = {
    # Lava's own LIF
    "lif": {},
    **{
        f"lif-{bits}-bit": {"bits": bits, "exponents": (1, 0, 1)}
        for bits in range(2, 8)
    },
    "lif-excitatory": {"signs": (EXC, EXC, EXC), "vth": (2000, 9000)},
    "lif-inhibitory-recurrence": {"signs": (EXC, INH, MIX)},
    "lif-inhibitory-readout": {"signs": (MIX, EXC, INH), "bits": 4},
    "lif-exponents-up": {"exponents": (3, 2, 4), "vth": (2000, 9000)},
    "lif-exponents-down": {"exponents": (-1, -3, -2), "vth": (20, 300)},
    "lif-no-bias": {"bias": False, "vth": (50, 400)},
    "lif-graded-1": {"input_bits": 1},
    "lif-graded-8": {"input_bits": 8, "vth": (8000, 90_000)},
    "lif-graded-overflow": {"input_bits": 24, "exponents": (7, 0, 0)},
    "lif-graded-down": {"input_bits": 20, "exponents": (-4, 1, 0)},
    "lif-graded-down-overflow": {
        "input_bits": 24,
        "input_weight": -256,
        "exponents": (-8, 0, 0),
    },
    "lif-no-current-memory": {"du": (4095, 4095), "vth": (50, 400)},
    "lif-no-leak": {"du": (0, 2), "dv": (0, 2), "vth": (9000, 90_000)},
    "lif-u-wraps": {"exponents": (7, 7, 7), **BIG},
    "lif-u-edges": EDGES,
    "lif-v-saturates": {"signs": (INH, INH, EXC), "exponents": (6, 6, 7), **BIG},
    "lif-zero-threshold": {"vth": (0, 3)},
    # the adaptive process
    "alif": ADAPTIVE,
    "alif-soft": {**SOFT, **ADAPTIVE},
    "alif-refractory": FULL,
    "alif-soft-refractory": {**SOFT, **FULL},
    "soft": SOFT,
    "soft-refractory": {**SOFT, "refractory": True},
    "refractory": {"refractory": True, "bits": 3},
    "alif-exponents": {**FULL, "exponents": (2, 3, 2), "vth": (900, 4000)},
    "alif-soft-down": {**SOFT, **FULL, "exponents": (-2, -1, -2), "vth": (20, 300)},
    "alif-soft-graded": {**SOFT, **FULL, "input_bits": 4, "signs": (EXC, INH, MIX)},
    "alif-graded-overflow": {**FULL, "input_bits": 24, "exponents": (7, 0, 0)},
    "soft-graded-overflow": {**SOFT, "input_bits": 23, "exponents": (6, 1, 3)},
    "alif-b-saturates": {
        **SOFT,
        **ADAPTIVE,
        "signs": (EXC, EXC, EXC),
        "exponents": (3, 3, 0),
        "vth": (0, 0),
        "dv": (0, 0),
        "beta": (131_071, 131_071),
        "db": (0, 0),
    },
    "alif-u-wraps": {**ADAPTIVE, "exponents": (7, 7, 7), **BIG},
    "soft-u-edges": {**SOFT, **EDGES},
    "soft-u-wraps": {**SOFT, "exponents": (7, 7, 7), "bits": 4, **BIG},
    "soft-v-saturates": {
        **SOFT,
        "signs": (INH, INH, EXC),
        "exponents": (7,) * 3,
        **BIG,
    },
}
SEEDS = {name: 1000 + k for k, name in enumerate(CASES)}


@pytest.fixture(scope="module")
def runs():
    networks = {name: random_network(SEEDS[name], **CASES[name]) for name in CASES}
    inputs = {
        name: random_input(SEEDS[name] + 5000, net, STEPS)
        for name, net in networks.items()
    }
    names = list(CASES)
    halves = [[(networks[n], inputs[n]) for n in names[k::2]] for k in range(2)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run_lava, halves))
    lava = {
        name: states
        for k in range(2)
        for name, states in zip(names[k::2], results[k], strict=True)
    }
    records = {name: emulator.run(networks[name], inputs[name]) for name in names}
    return networks, inputs, records, lava


@pytest.mark.parametrize("name", CASES)
def test_not_one_value_differs(runs, name):
    _, _, records, lava = runs
    report = compare(records[name], lava[name], "lava", 0.0)
    assert report.steps == STEPS
    assert report.passed, (SEEDS[name], report)


def test_the_cases_reach_the_corners(runs):
    """Every network is alive; overflow and saturation happen in both processes."""
    networks, _, records, _ = runs
    quiet = {"lif-v-saturates", "soft-v-saturates"}
    spikes = {name: record.n_spikes for name, record in records.items()}
    assert not [name for name, n in spikes.items() if n < 20 and name not in quiet]
    for plain in (True, False):
        group = [
            records[name]
            for name, net in networks.items()
            if net.neurons.plain_lif is plain
        ]
        assert len(group) >= 12
        assert sum(record.u_wraps > 0 for record in group) >= 3
        assert sum(record.v_saturations > 0 for record in group) >= 3
    assert sum(record.y_saturations > 0 for record in records.values()) >= 2
    saturated = records["lif-v-saturates"].v
    assert saturated.min() == -(2**23) + 1
    assert records["alif"].b.max() > 0
    for name in ("lif-u-edges", "soft-u-edges"):
        assert records[name].u.max() == 2**23
    assert records["alif-b-saturates"].b.max() == 2**23 - 1


@pytest.mark.parametrize("name", ["lif", "alif-soft-refractory"])
def test_a_changed_network_is_seen(runs, name):
    """Negative control: a weight, a decay and a threshold that differ a little."""
    networks, inputs, _, lava = runs
    net, x = networks[name], inputs[name]
    weights = np.array(net.w_in.weights)
    weights[3, 2] += 2 if weights[3, 2] < 254 else -2
    assert np.array_equal(weights, keep_bits(weights, 8, MIX))
    du = np.array(net.neurons.du)
    du[4] += 1
    vth = net.neurons.vth + 1
    changed = {
        "weight": dataclasses.replace(
            net, w_in=dataclasses.replace(net.w_in, weights=weights)
        ),
        "decay": dataclasses.replace(
            net, neurons=dataclasses.replace(net.neurons, du=du)
        ),
        "threshold": dataclasses.replace(
            net, neurons=dataclasses.replace(net.neurons, vth=vth)
        ),
    }
    for what, other in changed.items():
        report = compare(emulator.run(other, x), lava[name], "lava", 0.0)
        assert not report.passed, what
        assert report.first is not None


FUZZED = 40


@pytest.fixture(scope="module")
def fuzzed():
    cases = [random_case(1, index) for index in range(FUZZED)]
    return cases, run_cases(cases)


def test_not_one_random_network_of_any_model_differs(fuzzed):
    cases, states = fuzzed
    report = compare_cases(cases, states)
    assert report.passed and report.failures == (), report.failures
    assert (report.networks, report.differing, report.seed) == (FUZZED, 0, 1)
    assert report.models == dict.fromkeys(MODELS, FUZZED // len(MODELS))
    assert sum(report.synapses.values()) == 3 * FUZZED
    assert min(report.synapses[kind] for kind in ("dense", "sparse", "delayed")) > 20
    assert report.silent < FUZZED / 4
    assert min(report.n_spikes, report.u_wraps, report.v_saturations) > 1000


def changed_weight(case):
    """Change one weight by the least step that its block can hold."""
    block = case.description.w_in
    weights = np.array(block.weights)
    step = 1 << max(8 - block.bits + (block.sign == "mixed"), -block.exponent)
    where = np.unravel_index(np.abs(weights).argmax(), weights.shape)
    weights[where] -= step if weights[where] > 0 else -step
    return {"w_in": dataclasses.replace(block, weights=weights)}


def changed_register(case):
    """Change one decay of the membrane by one."""
    cell = case.description.neurons
    name = "delta_v" if case.model == "atrlif" else "dv"
    register = np.array(getattr(cell, name))
    register[0] += 1 if register[0] < 4095 else -1
    return {"neurons": dataclasses.replace(cell, **{name: register})}


@pytest.mark.parametrize("change", [changed_weight, changed_register])
def test_one_changed_weight_or_register_is_found(fuzzed, change):
    """Negative control: in most networks one unit must show, and it is named."""
    pairs = [
        (case, other)
        for case, other in zip(*fuzzed, strict=True)
        if np.any(case.description.w_in.weights)
    ]
    others = [
        dataclasses.replace(
            case, description=dataclasses.replace(case.description, **change(case))
        )
        for case, _ in pairs
    ]
    report = compare_cases(others, [other for _, other in pairs])
    assert not report.passed
    assert report.differing == len(report.failures) > 0.6 * report.networks
    assert {failure.model for failure in report.failures} == set(MODELS)
    for failure in report.failures:
        assert failure.seed == 1 and failure.differing_values > 0
        assert failure.first is not None and failure.first.got != failure.first.expected


def test_a_random_network_follows_from_seed_and_index():
    left, right = random_case(3, 7), random_case(3, 7)
    assert left.description == right.description
    assert np.array_equal(left.x, right.x)
    assert left.model == MODELS[7 % len(MODELS)]
    assert random_case(4, 7).description != left.description
    assert random_case(3, 8).description != left.description


def test_wrong_numbers_and_a_time_limit_end_the_fuzzing():
    with pytest.raises(InvalidValue, match="networks must be >= 1; got 0"):
        fuzz(0)
    with pytest.raises(InvalidValue, match="seed must be >= 0"):
        fuzz(1, -1)
    with pytest.raises(OracleFailure, match=r"must end within 0\.2 s"):
        fuzz(2, timeout=0.2)
