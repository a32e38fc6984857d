"""Inputs as events: nothing lost, nothing added."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikelearn.network import RecurrentNetwork
from tests.helpers import examples

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5))
GRADED = st.sampled_from([0.0, 0.0, 1.0, -1.5, 0.25, 3.0])


def _rebuild(events, shape):
    n_steps, n_samples, n_in = shape
    x = np.zeros((n_steps, n_samples, n_in))
    for b, t in np.ndindex(n_samples, n_steps):
        here = slice(events.start[b, t], events.start[b, t + 1])
        x[t, b, events.unit[here]] = events.value[here] if events.value.size else 1.0
    return x


def _events(x):
    return RecurrentNetwork(x.shape[2], 3, 1, dtype="float64").run(x).events


@examples
@given(hnp.arrays(np.float64, SHAPES, elements=GRADED))
def test_graded_input_survives_the_event_list(x):
    events = _events(x)
    assert np.array_equal(_rebuild(events, x.shape), x)
    assert (events.value.size == 0) == bool(np.isin(x, (0.0, 1.0)).all())


@examples
@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1)))
def test_spikes_need_no_values(x):
    events = _events(x)
    assert events.value.size == 0
    assert np.array_equal(_rebuild(events, x.shape), x)


def test_every_numeric_type_gives_the_same_events():
    x = (np.random.default_rng(0).random((5, 2, 4)) < 0.5).astype(np.uint8)
    types = (bool, np.int8, np.int32, np.int64, np.uint16, "f2", "f4", "f8", "g", ">f4")
    for dtype in types:
        assert np.array_equal(_rebuild(_events(x.astype(dtype)), x.shape), x), dtype
    views = (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2])
    for view in views:
        assert np.array_equal(_rebuild(_events(view), x.shape), x)


def test_integers_above_one_are_graded():
    x = np.full((3, 1, 2), 2, np.int64)
    assert np.array_equal(_rebuild(_events(x), x.shape), x)
