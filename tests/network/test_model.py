"""RecurrentNetwork: parameters, records, masks, borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelearn.errors import InvalidValue
from spikelearn.learning.optimizers import SGD
from spikelearn.learning.rules import EProp
from spikelearn.network import LIF, Params, RecurrentNetwork
from tests.helpers import examples, make_input, make_network, make_signal

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 4))


# Parameters -------------------------------------------------------------------------


@examples
@given(SIZES, st.sampled_from(["float32", "float64"]))
def test_views_have_the_convention_post_pre(sizes, dtype):
    n_in, n_rec, n_out = sizes
    params = Params(n_in, n_rec, n_out, dtype)
    shapes = {name: array.shape for name, array in params.arrays().items()}
    assert shapes == {
        "w_in": (n_rec, n_in),
        "w_rec": (n_rec, n_rec),
        "w_out": (n_out, n_rec),
        "b_out": (n_out,),
        "bias": (n_rec,),
    }
    assert all(array.dtype == dtype for array in params.arrays().values())


@examples
@given(SIZES)
def test_what_is_written_into_views_is_what_kernels_read(sizes):
    n_in, n_rec, n_out = sizes
    params = Params(n_in, n_rec, n_out, "float64")
    rng = np.random.default_rng(0)
    arrays = {n: rng.standard_normal(a.shape) for n, a in params.arrays().items()}
    params.load(arrays)
    assert np.array_equal(params.rows[:n_in, :n_rec], arrays["w_in"].T)
    assert np.array_equal(params.rows[n_in:, :n_rec], arrays["w_rec"].T)
    assert np.array_equal(params.out_rows, arrays["w_out"].T)
    assert not params.rows[:, n_rec:].any(), "padding stays empty"
    copy = params.copy()
    assert all(np.array_equal(copy.arrays()[n], arrays[n]) for n in arrays)
    copy.w_rec[...] = 7.0
    assert np.array_equal(params.w_rec, arrays["w_rec"])


@pytest.mark.parametrize("name", Params.names)
@pytest.mark.parametrize("fault", ["missing", "shape", "nan", "infinite", "overflow"])
def test_a_failed_load_changes_nothing(name, fault):
    params = make_network(dtype="float32", bias=0.2).params
    before = {n: a.copy() for n, a in params.arrays().items()}
    arrays = {n: np.asarray(a, np.float64) + 1.0 for n, a in before.items()}
    if fault == "missing":
        del arrays[name]
    elif fault == "shape":
        arrays[name] = arrays[name][:-1]
    else:
        value = {"nan": np.nan, "infinite": -np.inf, "overflow": 1e300}[fault]
        arrays[name].flat[-1] = value
    with pytest.raises(InvalidValue, match=rf"^Params\.{name} must .*; got "):
        params.load(arrays)
    assert all(np.array_equal(params.arrays()[n], before[n]) for n in before)


def test_transposed_weights_are_refused():
    params = Params(2, 3, 1, "float64")
    arrays = params.arrays() | {"w_in": np.zeros((2, 3))}
    with pytest.raises(InvalidValue, match=r"shape \(3, 2\) \(post, pre\); got shape"):
        params.load(arrays)


# Initialisation and masks -----------------------------------------------------------


def _drawn(seed, **options):
    network = RecurrentNetwork(5, 40, 3, dtype="float64")
    return {
        n: a.copy() for n, a in network.initialise(seed, **options).arrays().items()
    }


def test_the_same_seed_gives_the_same_numbers():
    first, again = _drawn(3), _drawn(np.random.default_rng(3))
    other = _drawn(4)
    for name in ("w_in", "w_rec", "w_out"):
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])
    assert not first["bias"].any()
    assert not first["b_out"].any()


def test_streams_are_independent():
    reference = _drawn(3)
    wider = RecurrentNetwork(9, 40, 3, dtype="float64").initialise(3)
    assert np.array_equal(wider.w_rec, reference["w_rec"])
    assert np.array_equal(wider.w_out, reference["w_out"])
    flat = np.concatenate([reference[n].ravel()[:100] for n in ("w_in", "w_out")])
    assert np.unique(flat).size == flat.size


def test_gains_scale_their_own_block():
    plain = _drawn(3)
    scaled = _drawn(3, gain=2.0, gain_in=0.5, gain_out=4.0)
    for name, factor in {"w_rec": 2.0, "w_in": 0.5, "w_out": 4.0}.items():
        np.testing.assert_allclose(scaled[name], factor * plain[name], rtol=1e-14)
    spectral = np.abs(np.linalg.eigvals(scaled["w_rec"])).max()
    assert spectral == pytest.approx(2.0, rel=0.25)


def test_self_connections_are_masked_by_default():
    network = make_network(n_rec=12, drive=1.5)
    assert not network.params.w_rec.diagonal().any()
    assert np.count_nonzero(network.params.w_rec) == 12 * 11


@pytest.mark.parametrize("masked", ["diagonal", "random"])
def test_masked_weights_stay_zero_through_learning(masked):
    rng = np.random.default_rng(5)
    mask = None if masked == "diagonal" else rng.random((12, 12)) < 0.3
    network = make_network(n_rec=12, mask=mask, drive=1.5)
    x = make_input()
    signal = make_signal(network, x)
    outside = ~network.mask
    for _ in range(3):
        record = network.run(x)
        gradients = EProp().gradients(network, record, signal).arrays()
        assert not gradients["w_rec"][outside].any()
        assert np.count_nonzero(gradients["w_rec"]) > 0.7 * network.mask.sum()
        SGD(1e-3).step(network.params.arrays(), gradients, {})
        assert not network.params.w_rec[outside].any()


def test_self_connections_can_be_asked_for():
    network = make_network(n_rec=8, mask=np.ones((8, 8), bool), drive=1.5)
    x = make_input()
    assert network.params.w_rec.diagonal().all()
    gradients = EProp().gradients(network, network.run(x), make_signal(network, x))
    assert np.abs(gradients.w_rec.diagonal()).max() > 0


def test_the_mask_is_a_copy_that_cannot_be_written():
    mask = np.ones((3, 3), bool)
    network = RecurrentNetwork(1, 3, 1, mask=mask)
    mask[0, 0] = False
    assert network.mask.all()
    with pytest.raises(ValueError, match="read-only"):
        network.mask[0, 0] = False


# Records ----------------------------------------------------------------------------


def test_raster_events_and_counts_tell_the_same_story():
    network, x = make_network(n_rec=9, drive=1.5), make_input(n_samples=4)
    record = network.run(x)
    spikes = record.spikes
    assert spikes.dtype == np.uint8
    assert spikes.shape == (40, 4, 9)
    assert (record.n_steps, record.n_samples) == (40, 4)
    assert 0 < spikes.sum() < spikes.size
    for b in range(4):
        step, unit = record.spike_events(b)
        raster = np.zeros((40, 9), np.uint8)
        raster[step, unit] = 1
        assert np.array_equal(raster, spikes[:, b])
        assert step.size == spikes[:, b].sum()
        assert np.all(np.diff(step * 9 + unit) > 0), "events are in order"
    assert np.array_equal(record.spike_counts, spikes.sum(axis=0))


def test_a_silent_network_has_empty_events():
    network = RecurrentNetwork(2, 3, 1)
    record = network.run(np.zeros((5, 2, 2)))
    step, unit = record.spike_events(1)
    assert step.size == unit.size == 0
    assert record.spike_counts.tolist() == [[0, 0, 0]] * 2
    assert not record.y.any()


def test_a_record_keeps_its_numbers_after_another_run():
    network, x = make_network(drive=1.5), make_input()
    record = network.run(x, record=("v",))
    v, spikes, y = record.state("v").copy(), record.spikes, record.y.copy()
    step, unit = record.spike_events(0)
    unit[...] = 0
    network.params.w_in[...] *= 2
    network.run(x, record=("v",))
    assert np.array_equal(record.state("v"), v)
    assert np.array_equal(record.spikes, spikes)
    assert np.array_equal(record.y, y)
    assert step.size == record.spike_events(0)[1].size


@pytest.mark.parametrize("recorded", [(), ("v",), ("a", "i"), ("v", "a", "i")])
def test_only_what_was_asked_for_can_be_read(recorded):
    network, x = make_network(), make_input()
    record = network.run(x, record=recorded)
    for name in ("v", "a", "i", "u"):
        if name in recorded:
            assert record.state(name).shape == (40, 3, 6)
            continue
        message = rf"^Record\.state\('{name}'\) must be recorded; got .*record="
        with pytest.raises(InvalidValue, match=message):
            record.state(name)


def test_recording_does_not_change_the_run():
    network, x = make_network(drive=1.5, dtype="float32"), make_input()
    plain, full = network.run(x), network.run(x, record=("v", "a", "i"))
    assert np.array_equal(plain.spikes, full.spikes)
    assert np.array_equal(plain.y, full.y)


# Borders ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None])
@pytest.mark.parametrize("name", ["n_in", "n_rec", "n_out"])
def test_sizes(name, n):
    sizes = {"n_in": 1, "n_rec": 2, "n_out": 1} | {name: n}
    with pytest.raises(InvalidValue, match=rf"^RecurrentNetwork\.{name} must be a who"):
        RecurrentNetwork(**sizes)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *(("dt", dt) for dt in (0.0, -1.0, np.nan, np.inf)),
        *(("dtype", dtype) for dtype in ("float16", "int32", "")),
        *(("mask", mask) for mask in (np.ones((2, 3)), np.ones(3), True)),
    ],
)
def test_bad_specification(name, bad):
    with pytest.raises(InvalidValue, match=rf"^RecurrentNetwork\.{name} must .*; got "):
        RecurrentNetwork(1, 3, 1, **{name: bad})


def test_per_neuron_parameters_must_fit_the_network():
    with pytest.raises(InvalidValue, match=r"^LIF\.tau_m must be .*got shape \(2,\)"):
        RecurrentNetwork(1, 3, 1, cell=LIF(tau_m=np.ones(2)))


@pytest.mark.parametrize(
    "shape", [(), (4,), (10, 4), (10, 2, 3), (4, 10, 2), (10, 2, 4, 1), (0, 2, 4)]
)
def test_input_of_the_wrong_shape(shape):
    network = make_network()
    message = r"^input x must have shape \(T, B, n_in = 4\); got shape .*time, batch"
    with pytest.raises(InvalidValue, match=message):
        network.run(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_input_must_be_finite_in_the_type_of_the_network(value):
    x = make_input(graded=True)
    x[3, 1, 2] = value
    network = make_network(dtype="float32")
    with pytest.raises(InvalidValue, match=r"^input x must be finite in float32; got "):
        network.run(x)


@pytest.mark.parametrize("dtype", [object, complex, "U3", "M8[s]"])
def test_input_must_be_numeric(dtype):
    with pytest.raises(InvalidValue, match=r"^input x must be numeric; got dtype "):
        make_network().run(np.zeros((3, 1, 4)).astype(dtype))


def test_nested_lists_are_arrays_too():
    x = make_input(n_steps=8)
    network = make_network(drive=1.5)
    assert np.array_equal(network.run(x.tolist()).y, network.run(x).y)


def test_an_unknown_state_is_refused():
    with pytest.raises(InvalidValue, match=r"run\.record must be names .*got \['u'\]"):
        make_network().run(make_input(), record=("v", "u"))
