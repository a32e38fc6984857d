"""Arrays of the wrong dtype, layout or device, at every border of the network."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.kernels import kernel_counts
from spikelearn.learning.rules import BPTT, EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network.checking import host_array, kernel_array, transposed
from tests.helpers import make_input, make_network, make_signal

N_STEPS, N_SAMPLES, N_IN, N_REC, N_OUT = 7, 3, 4, 6, 2


class OnDevice:
    """An array of another library on a device; it cannot be converted unseen."""

    def __init__(self, code, number=0):
        self.device = code, number

    def __dlpack_device__(self):
        return self.device

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("converted before its device was checked")


class OnCPU(OnDevice):
    def __init__(self, array):
        super().__init__(1)
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def run(value):
    make_network().run(value)


def load(value):
    params = make_network().params
    params.load(params.arrays() | {"w_in": value})


def error_of_signal(value):
    LearningSignal(value, np.zeros((N_REC, N_OUT)))


def feedback_of_signal(value):
    LearningSignal(np.zeros((N_STEPS, N_SAMPLES, N_OUT)), value)


def direct_of_signal(value):
    error = np.zeros((N_STEPS, N_SAMPLES, N_OUT))
    LearningSignal(error, np.zeros((N_REC, N_OUT)), direct=value)


BORDERS = {
    "input x": (run, (N_STEPS, N_SAMPLES, N_IN)),
    "Params.w_in": (load, (N_REC, N_IN)),
    "LearningSignal.error": (error_of_signal, (N_STEPS, N_SAMPLES, N_OUT)),
    "LearningSignal.feedback": (feedback_of_signal, (N_REC, N_OUT)),
    "LearningSignal.direct": (direct_of_signal, (N_STEPS, N_SAMPLES, N_REC)),
}
borders = pytest.mark.parametrize("where", BORDERS)


def refused(where, value):
    """Give a value of the right shape to a border; return the message it raises."""
    border, shape = BORDERS[where]
    with pytest.raises(InvalidValue) as caught:
        border(value(shape))
    assert str(caught.value).startswith(f"{where} must ")
    return str(caught.value)


@borders
@pytest.mark.parametrize("dtype", [complex, object, "U3", "S3", "M8[s]", "V4"])
def test_what_is_not_real_numbers_is_refused(where, dtype):
    message = refused(where, lambda shape: np.zeros(shape).astype(dtype))
    assert f"must be numeric; got dtype {np.dtype(dtype)}." in message


@borders
def test_rows_of_different_lengths_are_refused(where):
    message = refused(where, lambda shape: [[1.0, 2.0], [3.0]])
    assert (
        "must be convertible to a NumPy array of numbers; got builtins.list" in message
    )


@borders
@pytest.mark.parametrize(
    ("code", "device"), [(2, "CUDA device 1"), (8, "Metal"), (99, "type 99")]
)
def test_arrays_on_another_device_are_refused(where, code, device):
    message = refused(where, lambda shape: OnDevice(code, 1))
    assert "must be on the CPU; got " in message
    assert f"OnDevice on {device}" in message
    assert "x.cpu()" in message


@borders
def test_masked_entries_are_refused(where):
    def masked(shape):
        return np.ma.masked_less(np.arange(np.prod(shape)).reshape(shape), 3)

    assert "must have no masked entries; got 3 of them." in refused(where, masked)


@borders
def test_arrays_of_others_on_the_cpu_are_taken(where):
    border, shape = BORDERS[where]
    border(OnCPU(np.zeros(shape)))
    border(np.ma.zeros(shape))
    border(np.zeros(shape).tolist())


@borders
@pytest.mark.torch
def test_tensors(where):
    import torch

    border, shape = BORDERS[where]
    border(torch.zeros(shape))
    border(torch.zeros(shape, dtype=torch.int16))
    gradient = refused(where, lambda shape: torch.zeros(shape, requires_grad=True))
    assert "detached" in gradient
    assert "got torch.Tensor that requires a gradient. (Pass .detach();" in gradient
    meta = refused(where, lambda shape: torch.zeros(shape, device="meta"))
    assert "got torch.Tensor." in meta
    half = refused(where, lambda shape: torch.zeros(shape, dtype=torch.bfloat16))
    assert "BFloat16" in half


# Results do not depend on what the numbers came in -----------------------------------


def swapped(array):
    """The same numbers with their bytes in the other order."""
    return array.astype(array.dtype.newbyteorder())


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned or array.itemsize == 1
    return view


def strided(array):
    return np.repeat(array, 2, axis=0)[::2]


FORMS = {
    "swapped": swapped,
    "read-only": read_only,
    "unaligned": unaligned,
    "strided": strided,
    "Fortran": np.asfortranarray,
}


@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_an_array_does_not_matter(form, graded, n_samples):
    change = FORMS[form]
    network = make_network(drive=1.5)
    x = make_input(n_steps=20, n_samples=n_samples, graded=graded)
    signal = make_signal(network, x)
    record = network.run(x)
    expected = EProp().gradients(network, record, signal).arrays()
    assert record.spikes.any()
    counts = kernel_counts()
    network.params.load({k: change(v) for k, v in network.params.arrays().items()})
    again = network.run(change(x))
    changed = LearningSignal(
        *(change(part) for part in (signal.error, signal.feedback, signal.neuron))
    )
    assert np.array_equal(again.y, record.y)
    gradients = EProp().gradients(network, again, changed).arrays()
    for name, array in expected.items():
        assert np.array_equal(gradients[name], array), name
    assert kernel_counts() == counts, "no kernel for this form alone"


def test_arrays_that_will_do_are_not_copied():
    array = np.zeros((2, 3), np.float32)
    assert host_array(array, "x") is array
    assert kernel_array(array) is array
    locked = read_only(array)
    assert host_array(locked, "x") is locked
    assert kernel_array(locked).flags.carray


# Layout -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "wanted", "hint"),
    [
        ((7, 3, 4), (None, None, 4), ""),
        ((4, 7, 3), (None, None, 4), "Did you mean x.transpose(1, 2, 0)?"),
        ((7, 4, 3), (None, None, 4), "Did you mean x.transpose(0, 2, 1)?"),
        ((3, 7, 2), (7, 3, 2), "Did you mean x.transpose(1, 0, 2)?"),
        ((2, 5), (5, 2), "Did you mean x.transpose(1, 0)?"),
        ((2, 6), (5, 2), ""),
        ((7, 4), (None, None, 4), ""),
        ((), (3,), ""),
    ],
)
def test_axes_in_another_order_are_recognised(got, wanted, hint):
    assert transposed(got, wanted, "x") == hint


def test_axes_of_the_input_in_another_order():
    x = make_input(n_steps=N_STEPS)
    with pytest.raises(InvalidValue, match=r"Did you mean x\.transpose\(1, 2, 0\)\?"):
        make_network().run(x.transpose(2, 0, 1))


def test_transposed_weights():
    with pytest.raises(InvalidValue, match=r"w_in\.transpose\(1, 0\)\?"):
        load(np.zeros((N_IN, N_REC)))


@pytest.mark.parametrize("rule", [EProp(), BPTT()])
def test_signals_that_are_batch_first(rule):
    network = make_network()
    x = make_input(n_steps=N_STEPS, n_samples=N_SAMPLES)
    record = network.run(x)
    error = np.zeros((N_SAMPLES, N_STEPS, N_OUT))
    signal = LearningSignal(error, np.zeros((N_REC, N_OUT)))
    match = (
        r"^LearningSignal\.error must have shape \(7, 3, 2\); got \(3, 7, 2\)\. "
        r"\(Did you mean error\.transpose\(1, 0, 2\)\?\)"
    )
    with pytest.raises(InvalidValue, match=match):
        rule.gradients(network, record, signal)
    signal = LearningSignal(error.swapaxes(0, 1), np.zeros((N_OUT, N_REC)))
    with pytest.raises(InvalidValue, match=r"feedback\.transpose\(1, 0\)\?"):
        rule.gradients(network, record, signal)


def test_records_of_another_precision_are_refused():
    single, double = make_network(dtype="float32"), make_network()
    x = make_input(n_steps=N_STEPS)
    signal = make_signal(double, x)
    with pytest.raises(InvalidValue, match=r"^record must be that of .*'float32'\)\."):
        EProp().gradients(double, single.run(x), signal)
