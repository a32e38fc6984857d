"""Credit while a trial runs is credit at its end, cut into pieces."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.learning.rules import (
    BPTT,
    DECOLLE,
    MDGL,
    RFLO,
    RTRL,
    STLLR,
    EProp,
    ModProp,
    OnlineRule,
    SnAp1,
)
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout
from tests.helpers import (
    copy_spec,
    delays,
    make_full_signal,
    make_input,
    make_network,
)

N_REC, T, B = 6, 21, 3
OWN = np.random.default_rng(1).random((N_REC, N_REC)) < 0.6
OWN[np.diag_indices(4)] = True
OTHERS = ~np.eye(N_REC, dtype=bool)
MIXED = np.linspace(4.0, 20.0, N_REC)
CELLS = {
    "LIF": LIF(tau_m=10.0),
    "LIF zero": LIF(tau_m=10.0, reset="zero", t_ref=3.0),
    "ALIF": ALIF(tau_m=10.0, tau_a=40.0, beta=0.3, tau_syn=4.0),
    "ALIF zero": ALIF(tau_m=8.0, tau_a=40.0, beta=0.3, reset="zero", tau_syn=3.0),
    "mixed": ALIF(tau_m=MIXED, tau_a=40.0, beta=0.3, t_ref=2.0),
    "mixed synapses": LIF(tau_m=10.0, tau_syn=MIXED),
    "inside": LeakyRate(tau_m=8.0, tau_syn=4.0, activation="tanh"),
    "outside": LeakyRate(8.0, 4.0, "softplus", "outside"),
    "no leak": LeakyRate(tau_m=0.0, activation="tanh"),
}
RATE = ("inside", "outside", "no leak")
DELAYS = {"1": 1, "4": 4, "per synapse": delays(N_REC, 5)}
RULES = {
    "e-prop": EProp(),
    "rflo": RFLO(),
    "snap-1": SnAp1(),
    "decolle": DECOLLE(),
    "mdgl": MDGL("online"),
}
CASES = [
    (rule, cell, delay)
    for rule in RULES
    for cell in CELLS
    for delay in DELAYS
    if (rule != "rflo" or cell in RATE) and (rule != "mdgl" or delay == "1")
]


def make_case(cell, delay="1", mask=OWN, dtype="float64"):
    network = make_network(
        n_rec=N_REC,
        cell=CELLS[cell],
        delay=DELAYS[delay],
        mask=mask,
        cell_types=np.arange(N_REC) % 2,
        readout=LeakyReadout(6.0),
        drive=0.8 if cell in RATE else 1.5,
        bias=0.05,
        dtype=dtype,
    )
    return network, make_input(n_steps=T, n_samples=B, graded=True)


def piece_of(signal, piece):
    parts = ("error", "broadcast", "direct")
    arrays = {p: getattr(signal, p) for p in parts}
    cut = {p: array[piece] for p, array in arrays.items() if array is not None}
    return dataclasses.replace(signal, **cut)


def online(rule, network, x, signal, length, threads=1, *, traces=None, **options):
    """Add up the gradients of pieces of `length` steps."""
    traces = rule.start(network, x.shape[1]) if traces is None else traces
    state, total = None, None
    for begin in range(0, len(x), length):
        piece = slice(begin, begin + length)
        record = network.run(x[piece], state=state, record=rule.needs(network))
        state = record.final
        own = piece_of(signal, piece)
        part = rule.step(network, record, own, traces, threads, **options)
        total = part if total is None else total + part
    return total.arrays()


def offline(rule, network, x, signal):
    record = network.run(x, record=rule.needs(network))
    return rule.gradients(network, record, signal).arrays()


def assert_same(got, expected, tolerance):
    """Compare gradients, or traces, by name."""
    for name, array in expected.items():
        scale = np.abs(array).max()
        assert scale > 1e-3, f"{name}: a dead gradient proves nothing"
        assert np.abs(got[name] - array).max() < tolerance * scale, name
        assert got[name].dtype == array.dtype


# Steps of a piece; whether the traces of all steps are wanted. Without it, pieces of 7
# steps and more are windows.
MODES = {
    "step": (1, False),
    "chunks": (T, True),
    "windows": (7, False),
    "trial": (T, False),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("rule", "cell", "delay"), CASES)
def test_pieces_add_up_to_the_trial(rule, cell, delay, mode):
    late = rule == "snap-1" and delay != "1"
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-6)):
        network, x = make_case(cell, delay, OTHERS if late else OWN, dtype)
        signal = make_full_signal(network, x)
        expected = offline(RULES[rule], network, x, signal)
        length, explicit = MODES[mode]
        got = online(RULES[rule], network, x, signal, length, explicit=explicit)
        assert_same(got, expected, tolerance)
        assert got["w_in"].dtype == dtype


@pytest.mark.parametrize("n_rec", [40, 70])
@pytest.mark.parametrize("cell", ["LIF", "ALIF", "ALIF zero", "inside", "outside"])
def test_pieces_add_up_in_populations_of_many_vectors(cell, n_rec):
    """In one vector, in several, in blocks of them; T is longer than a window."""
    network = make_network(
        n_rec=n_rec,
        cell=CELLS[cell],
        delay=delays(n_rec, 3) if cell == "ALIF zero" else 2,
        readout=LeakyReadout(6.0),
        drive=0.6 if cell in RATE else 1.5,
    )
    x = make_input(n_steps=150, n_samples=1, graded=cell == "LIF")
    signal = make_full_signal(network, x)
    expected = offline(EProp(), network, x, signal)
    for length, explicit in ((150, False), (49, False), (150, True)):
        got = online(EProp(), network, x, signal, length, explicit=explicit)
        assert_same(got, expected, 1e-12)


@pytest.mark.parametrize("cell", ["LIF", "ALIF", "mixed", "inside"])
def test_signals_may_lack_what_rules_can_read(cell):
    """Without `neuron` and `direct` the kernels leave their part out."""
    network, x = make_case(cell)
    full = make_full_signal(network, x)
    signal = dataclasses.replace(full, neuron=None, direct=None)
    expected = offline(EProp(), network, x, signal)
    for length, explicit in MODES.values():
        got = online(EProp(), network, x, signal, length, explicit=explicit)
        assert_same(got, expected, 1e-12)


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_windows_leave_the_traces_that_steps_leave(cell, delay):
    """Also when the weights change between them."""
    results = []
    for explicit in (True, False):
        network, x = make_case(cell, delay)
        signal, state = make_full_signal(network, x), None
        traces, parts = EProp().start(network, B), []
        for begin in range(0, T, 7):
            piece = slice(begin, begin + 7)
            record = network.run(x[piece], state=state)
            state = record.final
            own = piece_of(signal, piece)
            part = EProp().step(network, record, own, traces, explicit=explicit)
            parts.append(part.arrays())
            for weights in (network.params.w_rec, network.params.w_in):
                weights[...] *= 0.9
        kept = traces._replace(synapses=traces.synapses[..., :N_REC])  # no padding
        arrays = {k: v for k, v in kept._asdict().items() if v.size}
        results.append((parts, arrays))
    (steps, left_by_steps), (windows, left_by_windows) = results
    assert_same(left_by_windows, left_by_steps, 1e-12)
    for got, expected in zip(windows, steps, strict=True):
        assert_same(got, expected, 1e-12)


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("cell", ["LIF", "ALIF zero", "mixed"])
def test_filtered_traces_are_those_of_the_definition(cell, explicit):
    """A loop over steps, for each synapse of the inputs."""
    network, x = make_case(cell)
    signal, traces = make_full_signal(network, x), EProp().start(network, B)
    online(EProp(), network, x, signal, 8, traces=traces, explicit=explicit)
    constants, n_in = network.cell_constants, network.n_in
    run, kappa = network.run(x), network.readout.factors(network.dt)[0]
    psi = np.zeros((T, B, N_REC))
    for t, b in np.ndindex(T, B):
        c = constants
        triangle = 1 - np.abs(run.distance[t, b]) * c.inverse_width
        psi[t, b] = c.height * np.maximum(triangle, 0)
    current, membrane, adaptation, ebar = np.zeros((4, B, n_in, N_REC))
    for t in range(T):
        current = constants.alpha_s * current + x[t][..., None]
        membrane = constants.alpha_m * membrane + constants.zeta * current
        e = psi[t][:, None] * (membrane - constants.beta * adaptation)
        adaptation = constants.rho * adaptation + e
        ebar = kappa * ebar + e
        if network.cell.reset == "zero":
            membrane = membrane * (1 - run.output[t][:, None])
    assert np.abs(ebar).max() > 0.1
    assert traces.filtered.shape == (B, n_in + N_REC + 1, N_REC)
    got = traces.filtered[:, :n_in]
    assert np.abs(got - ebar).max() < 1e-12 * np.abs(ebar).max()


PORTABLE = """
import sys
import numpy as np
from tests.learning import test_online as cases
for cell in ("ALIF", "mixed"):
    network, x = cases.make_case(cell, "per synapse" if cell == "mixed" else "1")
    signal = cases.make_full_signal(network, x)
    for length, explicit in cases.MODES.values():
        got = cases.online(cases.EProp(), network, x, signal, length, explicit=explicit)
        for gradient in got.values():
            np.save(sys.stdout.buffer, gradient)
"""


def test_without_a_compiler_the_kernels_do_the_same():
    """Vectors have NumPy twins, on which the kernels run as the Python they are."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", PORTABLE]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    stream = io.BytesIO(done.stdout)
    for cell, delay in (("ALIF", "1"), ("mixed", "per synapse")):
        network, x = make_case(cell, delay)
        expected = offline(EProp(), network, x, make_full_signal(network, x))
        for _ in MODES:
            assert_same({k: np.load(stream) for k in expected}, expected, 1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_every_piece_matters(rule):
    """Negative control: without the traces of earlier pieces the sum is another."""
    network, x = make_case("inside")
    signal, rule = make_full_signal(network, x), RULES[rule]
    expected = offline(rule, network, x, signal)
    whole = network.run(x[:10])
    record = network.run(x[10:], state=whole.final)
    fresh = rule.start(network, B)
    first = rule.step(network, whole, piece_of(signal, slice(10)), fresh)
    again = rule.start(network, B)
    second = rule.step(network, record, piece_of(signal, slice(10, T)), again)
    lost = (first + second).arrays()
    for name, gradient in expected.items():
        assert np.abs(lost[name] - gradient).max() > 1e-3 * np.abs(gradient).max()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_do_not_change_the_pieces(rule, dtype):
    network, _ = make_case("outside", dtype=dtype)
    x = make_input(n_steps=T, n_samples=11, graded=True)
    signal = make_full_signal(network, x)
    one, two = (online(RULES[rule], network, x, signal, 5, n) for n in (1, 2))
    for name, gradient in one.items():
        assert np.abs(gradient).max() > 1e-3
        assert np.array_equal(two[name], gradient)


def test_credit_of_a_piece_uses_the_weights_of_the_moment():
    """Feedback and paths may change between pieces; the past stays as it was."""
    network, x = make_case("ALIF")
    signal = make_full_signal(network, x)
    traces = SnAp1().start(network, B)
    needs = SnAp1().needs(network)
    first = network.run(x[:10], record=needs)
    SnAp1().step(network, first, piece_of(signal, slice(10)), traces)
    kept = [array.copy() for array in traces]
    results = []
    for factor in (1.0, 0.5):
        network.params.w_rec[...] *= factor
        record = network.run(x[10:], state=first.final, record=needs)
        again = type(traces)(*(array.copy() for array in kept))
        part = piece_of(signal, slice(10, T))
        results.append(SnAp1().step(network, record, part, again).w_in)
    assert np.abs(results[0] - results[1]).max() > 1e-3
    assert all(map(np.array_equal, traces, kept))


@pytest.mark.parametrize(
    "rule", [BPTT(), MDGL(), MDGL("one-hop"), ModProp()], ids=lambda rule: str(rule)
)
def test_rules_that_need_the_future_refuse(rule):
    network, _ = make_case("LIF")
    name = rule.info.name
    message = rf"^rule '{name}' must be credited at the end of a trial.*e-prop.*online"
    with pytest.raises(InvalidValue, match=message):
        rule.start(network, 1)


@pytest.mark.parametrize("rule", [RTRL(), STLLR()], ids=lambda rule: rule.info.name)
def test_rules_without_traces_are_no_online_rules(rule):
    assert not isinstance(rule, OnlineRule)
    assert isinstance(EProp(), OnlineRule)


@pytest.mark.parametrize("delay", ["4", "per synapse"])
def test_own_paths_with_longer_delays_refuse(delay):
    late = np.where(np.eye(N_REC, dtype=bool), 2, DELAYS[delay])
    network = copy_spec(make_case("LIF")[0], delay=late)
    message = r"^rule 'snap-1' online must have delays of 1 step .*; got longer ones"
    with pytest.raises(InvalidValue, match=message):
        SnAp1().start(network, 1)
    SnAp1().start(copy_spec(network, mask=OTHERS), 1)
    early = np.where(np.eye(N_REC, dtype=bool), 1, late)
    SnAp1().start(copy_spec(network, delay=early), 1)
    with pytest.raises(InvalidValue, match=r"^rule 'mdgl' online must have del"):
        MDGL("online").start(network, 1)
    EProp().start(network, 1)


def test_rules_check_the_network_first():
    network, _ = make_case("LIF")
    with pytest.raises(InvalidValue, match="rule 'rflo' must be used with cells rate"):
        RFLO().start(network, 1)
    with pytest.raises(InvalidValue, match="rule 'mdgl' must have cell types"):
        MDGL("online").start(copy_spec(network, cell_types=None), 1)


def test_the_voltage_must_be_recorded_where_it_is_needed():
    network, x = make_case("LIF zero")
    traces, signal = SnAp1().start(network, B), make_full_signal(network, x)
    assert SnAp1().needs(network) == ("v",)
    with pytest.raises(InvalidValue, match=r"^Record\.state\('v'\) must be recorded"):
        SnAp1().step(network, network.run(x), signal, traces)


@pytest.mark.parametrize("other", ["samples", "neurons", "delay"])
def test_the_traces_of_another_trial_are_refused(other):
    network, x = make_case("LIF")
    signal = make_full_signal(network, x)
    traces = EProp().start(network, B)
    if other == "samples":
        traces = EProp().start(network, B - 1)
    elif other == "neurons":
        traces = EProp().start(make_network(n_rec=N_REC - 1), B)
    else:
        traces = EProp().start(copy_spec(network, delay=3), B)
    with pytest.raises(InvalidValue, match=r"^Traces\.\w+ must have shape .*; got "):
        EProp().step(network, network.run(x), signal, traces)
