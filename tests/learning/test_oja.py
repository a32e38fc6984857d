"""Oja's rules against plain loops, their fixed points, and weight decay."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.oja import FORMS, PLASTICITY_TERMS, Oja, WeightDecay
from spikelearn.network import LIF, LeakyRate
from tests.helpers import make_input, make_network, relative_error

CELLS = {
    "inside": {"kind": "rate", "placement": "inside"},
    "outside": {"kind": "rate", "placement": "outside"},
    "LIF": {"kind": "LIF"},
    "ALIF": {"kind": "ALIF"},
}


def make_cell(name, tau_m=8.0, tau_syn=0.0):
    return SimpleNamespace(**CELLS[name], tau_m=tau_m, tau_syn=tau_syn)


def make_case(name="inside", seed=0, n=5, n_steps=12, n_samples=3, **changes):
    """Build what a term reads of a network and of a record."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n, n)) < 0.7
    np.fill_diagonal(mask, False)
    network = SimpleNamespace(
        n_rec=n,
        dt=0.5,
        delay=1,
        mask=mask,
        cell=make_cell(name),
        params=SimpleNamespace(w_rec=rng.standard_normal((n, n)) * mask),
    )
    vars(network).update(changes)
    output = rng.standard_normal((n_steps, n_samples, n))
    if network.cell.kind != "rate":
        output = (output > 0.5).astype(np.float32)
    return network, SimpleNamespace(output=output)


def naive(term, network, record):
    """One synapse, one sample, one step at a time."""
    cell, dt, n = network.cell, network.dt, network.n_rec
    w_rec, output = network.params.w_rec, record.output
    n_steps, n_samples, _ = output.shape

    def decay(tau, j):
        tau = float(np.broadcast_to(tau, (n,))[j])
        return math.exp(-dt / tau) if tau > 0 else 0.0

    def history(b, j):
        """Post-synaptic output and presynaptic trace of neuron j, step by step."""
        alpha_s, alpha_m = decay(cell.tau_syn, j), decay(cell.tau_m, j)
        s = psp = 0.0
        post, trace = [], []
        for t in range(n_steps):
            s = alpha_s * s + (1 - alpha_s) * float(output[t, b, j])
            psp = alpha_m * psp + (1 - alpha_m) * s
            outside = cell.kind == "rate" and cell.placement == "outside"
            trace.append(s if outside else psp)
            post.append(float(output[t, b, j]) if cell.kind == "rate" else psp)
        return post, trace

    total = np.zeros((n, n))
    delays = np.broadcast_to(network.delay, (n, n))
    for b in range(n_samples):
        post, trace = zip(*(history(b, j) for j in range(n)), strict=True)
        for t in range(n_steps):
            for i in range(n):
                for j in range(n):
                    if not network.mask[i, j]:
                        continue
                    early = t - delays[i, j]
                    xbar = trace[j][early] if early >= 0 else 0.0
                    r = post[i][t]
                    if term.form == "subspace":
                        seen = sum(post[k][t] * w_rec[k, j] for k in range(n))
                        total[i, j] += r * (xbar - seen)
                    else:
                        factor = 1.0
                        if term.form == "rescaled":
                            factor = n / term.row_norm**2
                        total[i, j] += r * xbar - factor * r * r * w_rec[i, j]
    total *= term.strength / (n_steps * n_samples)
    norm = math.sqrt((total**2).sum())
    return total if norm <= term.max_step else total * term.max_step / norm


CASES = [
    ("inside", {}),
    ("inside", {"cell": make_cell("inside", 0.0)}),
    ("inside", {"cell": make_cell("inside", np.arange(5) + 1.0, 3.0)}),
    ("inside", {"delay": 3}),
    ("inside", {"delay": 20}),
    ("inside", {"delay": np.random.default_rng(3).integers(1, 5, (5, 5))}),
    ("outside", {"cell": make_cell("outside", 8.0, 3.0)}),
    ("LIF", {"cell": make_cell("LIF", 2.0)}),
    ("ALIF", {"cell": make_cell("ALIF", 2.0, np.arange(5.0))}),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "changes"), CASES)
@pytest.mark.parametrize("max_step", [np.inf, 0.01])
def test_displacements_equal_the_twin(form, name, changes, max_step):
    network, record = make_case(name, **changes)
    term = Oja(form, strength=1.0, row_norm=1.3, max_step=max_step)
    expected = naive(term, network, record)
    assert np.abs(expected).max() > 1e-3
    got = term.displacement(network, record.output)
    assert list(got) == ["w_rec"]
    assert relative_error(got["w_rec"], expected) < 1e-10
    assert not got["w_rec"][~network.mask].any()
    capped = np.linalg.norm(expected) == pytest.approx(0.01)
    assert capped == (max_step == 0.01)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "change",
    [
        {"delay": 2},
        {"dt": 0.6},
        {"cell": make_cell("inside", 8.0, 1.0)},
        {"cell": make_cell("outside")},
        {"cell": make_cell("LIF")},
    ],
)
def test_a_displacement_depends_on(form, change):
    """Negative control: the twin of a slightly different network disagrees."""
    network, record = make_case()
    other, _ = make_case(**change)
    network.params.w_rec *= 0.1
    other.params.w_rec *= 0.1
    term = Oja(form, strength=0.1)
    got = term.displacement(network, record.output)["w_rec"]
    assert relative_error(got, naive(term, network, record)) < 1e-10
    assert relative_error(got, naive(term, other, record)) > 1e-3


def test_forms_differ_in_their_decay_only():
    network, record = make_case()
    steps = {f: Oja(f, 1.0, max_step=np.inf) for f in FORMS}
    steps = {
        f: t.displacement(network, record.output)["w_rec"] for f, t in steps.items()
    }
    assert relative_error(steps["neuron"], steps["subspace"]) > 1e-2
    same = Oja("rescaled", 1.0, math.sqrt(5.0), np.inf)
    same = same.displacement(network, record.output)["w_rec"]
    np.testing.assert_allclose(same, steps["neuron"], rtol=1e-12)
    network.params.w_rec *= 0.0
    hebb = [Oja(f, 1.0).displacement(network, record.output)["w_rec"] for f in FORMS]
    assert np.abs(hebb[0]).max() > 1e-2
    assert np.array_equal(hebb[0], hebb[1])
    assert np.array_equal(hebb[0], hebb[2])


def test_a_silent_network_keeps_its_weights():
    network, record = make_case("LIF")
    record.output[...] = 0.0
    for form in FORMS:
        step = Oja(form, 1.0).displacement(network, record.output)["w_rec"]
        assert not step.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_displacements_have_the_type_of_the_weights(dtype):
    network, record = make_case()
    network.params.w_rec = network.params.w_rec.astype(dtype)
    for term in (Oja(), WeightDecay()):
        assert term.displacement(network, record.output)["w_rec"].dtype == dtype


def learn(form, n_post=1, n_pre=6, seed=0, steps=1500, **spec):
    """Let linear units learn rows from input with a known covariance."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((n_pre, n_pre)))[0]
    scales = np.array([2.0, 1.5, 0.7, 0.5, 0.4, 0.3])
    n = n_post + n_pre
    mask = np.zeros((n, n), bool)
    mask[:n_post, n_post:] = True
    network, _ = make_case(n=n, mask=mask, cell=make_cell("inside", 0.0))
    w_rec = 0.3 * rng.standard_normal((n, n)) * mask
    network.params.w_rec = w_rec
    term = Oja(form, strength=0.02, **spec)
    for _ in range(steps):
        output = np.zeros((21, 8, n))
        output[:, :, n_post:] = rng.standard_normal((21, 8, n_pre)) * scales @ axes.T
        rows = w_rec[:n_post, n_post:]
        output[1:, :, :n_post] = output[:-1, :, n_post:] @ rows.T
        w_rec += term.displacement(network, output)["w_rec"]
    assert not w_rec[~mask].any()
    return w_rec[:n_post, n_post:], axes


def test_a_neuron_finds_the_principal_component_with_norm_1():
    (row,), axes = learn("neuron")
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=0.02)
    assert abs(row @ axes[:, 0]) > 0.99


@pytest.mark.parametrize("c", [1.0, 2.0])
def test_the_rescaled_form_has_rows_of_norm_c_over_root_n(c):
    (row,), axes = learn("rescaled", row_norm=c)
    norm = np.linalg.norm(row)
    assert norm == pytest.approx(c / math.sqrt(7), rel=0.03)
    assert abs(row @ axes[:, 0]) > 0.99 * norm


def test_the_subspace_form_finds_orthonormal_rows_in_the_principal_subspace():
    rows, axes = learn("subspace", n_post=2)
    np.testing.assert_allclose(rows @ rows.T, np.eye(2), atol=0.05)
    inside = rows @ axes[:, :2]
    np.testing.assert_allclose(inside @ inside.T, np.eye(2), atol=0.06)


def test_neurons_alone_all_find_the_same_component():
    """Negative control: only the subspace form keeps the rows apart."""
    rows, axes = learn("neuron", n_post=2)
    overlap = abs(rows[0] @ rows[1])
    assert overlap == pytest.approx(1.0, abs=0.05)
    assert np.abs(rows @ axes[:, 0]).min() > 0.98


@pytest.mark.parametrize("form", ["neuron", "rescaled"])
def test_a_recurrent_network_collapses_unless_the_decay_is_rescaled(form):
    """All rows align and the radius grows towards sqrt(N) = 5, or it stays below 1."""
    n, rng = 25, np.random.default_rng(1)
    mask = np.ones((n, n), bool)
    network, _ = make_case(n=n, mask=mask, cell=make_cell("inside", 0.0))
    w_rec = network.params.w_rec = rng.standard_normal((n, n)) / math.sqrt(n)
    term = Oja(form, strength=0.05)
    for _ in range(500):
        output = np.zeros((8, 8, n))
        for t in range(1, 8):
            noise = 0.3 * rng.standard_normal((8, n))
            output[t] = np.maximum(output[t - 1] @ w_rec.T + noise, 0.0)
        w_rec += term.displacement(network, output)["w_rec"]
    radius = np.abs(np.linalg.eigvals(w_rec)).max()
    first, second = np.linalg.svd(w_rec)[1][:2]
    if form == "neuron":
        assert 3.5 < radius < 5.0
        assert second < 0.4 * first
    else:
        assert 0.1 < radius < 1.0


def test_weight_decay_shrinks_and_does_not_look_at_activity():
    network, record = make_case()
    step = WeightDecay(0.1).displacement(network, record.output)["w_rec"]
    assert np.array_equal(step, -0.1 * network.params.w_rec)
    record.output[...] = 0.0
    again = WeightDecay(0.1).displacement(network, record.output)["w_rec"]
    assert np.array_equal(step, again)


def test_terms_do_not_change_what_they_read():
    network, record = make_case()
    kept = network.params.w_rec.copy(), record.output.copy()
    for term in PLASTICITY_TERMS.values():
        term(strength=0.5).displacement(network, record.output)
    assert np.array_equal(network.params.w_rec, kept[0])
    assert np.array_equal(record.output, kept[1])


def test_terms_describe_themselves():
    for name, term in PLASTICITY_TERMS.items():
        assert term.info.name == name
        assert all(vars(term.info).values())
    assert PLASTICITY_TERMS["oja"] is Oja


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"strength": -1.0}, r"^Oja\.strength must be >= 0 and finite; got -1\."),
        ({"row_norm": 0.0}, r"^Oja\.row_norm must be > 0"),
        ({"max_step": 0.0}, r"^Oja\.max_step must be > 0"),
    ],
)
def test_bad_parameters(spec, message):
    with pytest.raises(InvalidValue, match=message):
        Oja(**spec)
    with pytest.raises(InvalidValue, match=r"^WeightDecay\.strength must be in \[0, 1"):
        WeightDecay(1.5)


def test_unknown_form():
    with pytest.raises(UnknownName, match=r"^unknown form of Oja 'neurons'. Did you"):
        Oja("neurons")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("delay", [1, np.random.default_rng(3).integers(1, 4, (6, 6))])
@pytest.mark.parametrize(
    "cell",
    [
        LIF(tau_m=5.0, tau_syn=2.0),
        LeakyRate(tau_m=5.0),
        LeakyRate(tau_m=5.0, tau_syn=2.0, placement="outside"),
    ],
)
def test_networks_that_have_run(cell, delay, form):
    network = make_network(cell=cell, delay=delay, drive=1.5)
    record = network.run(make_input(n_steps=20))
    term = Oja(form, strength=1.0)
    got = term.displacement(network, record.output)["w_rec"]
    expected = naive(term, network, record)
    assert np.abs(expected).max() > 1e-3
    assert relative_error(got, expected) < 1e-10
