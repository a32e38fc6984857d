"""The forward pass of one sample on several threads, each with neurons of its own.

A step needs the spikes of all neurons, so that threads wait for each other at every
step, for about as long as a few weight rows take: it pays for large networks. Nobody
waits for a thread that never came: who comes first counts who follows and closes the
door.
Sums have the order that they have on one thread, and so the same bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.spiking import Trajectory, add_rows, read_out, send, update
from spikelearn.kernels.vector import (
    BLOCK,
    LANES,
    acquire,
    bare,
    fetch_add,
    give_way,
    load,
    release,
    store,
    width,
)

APART = 16  # int64 entries between two counters: caches fetch pairs of lines
CLOSED = 1 << 20
PATIENCE = 300_000  # looks at the door before it is closed: about a tenth of a ms
LOOKS = 200_000  # at another thread's step before the system may run others


class Team(NamedTuple):
    """What the threads share; `new_team` makes it."""

    counters: Any  # (APART * (2 + members),) int64: who came, how many, steps of each
    first: Any  # (members, T + 1) int64: as in `Trajectory`, of each one's neurons
    spike: Any  # (members * (T * n_pad + LANES),) int32
    members: int  # at most


def new_team(members: int, n_steps: int, n_pad: int) -> Team:
    """Return what at most so many threads share."""
    return Team(
        counters=np.zeros(APART * (2 + members), np.int64),
        first=np.empty((members, n_steps + 1), np.int64),
        spike=np.empty(members * (n_steps * n_pad + LANES), np.int32),
        members=members,
    )


@kernel
def forward_in_team(cell, weights, events, team, state, out):
    """Do one member's part of `spiking.forward` for a single sample.

    Every member calls it. Rows are dense, and all delays the same.

    Mutates
    -------
    team : Team
    state : State
        All but `y`, `pending` of the last steps and `time`.
    out : Trajectory
        All but `first`, `spike` and `y`.
    """
    counters = bare(team.counters)
    me = take_place(counters, team.members, PATIENCE)
    if me >= 0:
        n_members = acquire(counters, APART)
        _steps(
            bare(cell),
            bare(weights),
            bare(events),
            me,
            n_members,
            bare(team),
            bare(state),
            bare(out),
        )


@inlined
def take_place(counters, members, patience):
    """Return the number of a member, or -1 for who comes too late.

    The first one looks `patience` times for the others before it begins.
    """
    me = fetch_add(counters, 0, 1)
    if me == 0:
        looks = 0
        while acquire(counters, 0) < members and looks < patience:
            looks += 1
        came = fetch_add(counters, 0, CLOSED)
        release(counters, APART, came)
    elif me > CLOSED:
        me = -1
    else:
        wait_for(counters, APART, 1)
    return me


@inlined
def wait_for(counters, index, value):
    """Wait until a counter has reached a value."""
    looks = 0
    while acquire(counters, index) < value:
        looks += 1
        if looks % LOOKS == 0:
            give_way()


@kernel
def _steps(cell, weights, events, me, n_members, team, state, out):
    w, unit, first, lanes = weights.w, events.unit, team.first, width(weights.w)
    n_pad, n_in, span = w.shape[1], events.n_in, weights.longest_delay
    n_steps, n_blocks = first.shape[1] - 1, n_pad // (BLOCK * lanes)
    low = n_blocks * me // n_members * BLOCK * lanes
    high = n_blocks * (me + 1) // n_members * BLOCK * lanes
    # What `update` lists are the spikes of this member.
    mine = Trajectory(
        out.distance, first, team.spike, out.output, out.y, out.v, out.a, out.i
    )
    plain = not (cell.has_refractory or cell.reset_to_zero or out.v.shape[1] > 0)
    n_spikes = me * (team.spike.size // first.shape[0])
    first[me, 0] = n_spikes
    slot = state.time[0] % span
    for t in range(n_steps):
        for q in range(n_members):
            if t >= span:
                wait_for(team.counters, APART * (2 + q), t - span + 1)
                begin, end = first[q, t - span], first[q, t - span + 1]
                at = (0, slot)
                spike = team.spike
                add_rows(state.pending, at, w, n_in, spike, begin, end, low, high)
        for j in range(low, high, lanes):
            i = load(state.pending, (0, slot, j))
            if cell.has_synaptic_current:
                i += load(cell.alpha_s, j) * load(state.i, (0, j))
            store(state.i, (0, j), i)
            store(state.pending, (0, slot, j), 0)
        begin, end = events.start[0, t], events.start[0, t + 1]
        add_rows(state.i, (0,), w, 0, unit, begin, end, low, high)
        if plain:
            for j in range(low, high, BLOCK * lanes):
                i = load(state.i, (0, j), BLOCK)
                n_spikes = update(
                    i, cell, weights, 0, t, j, n_spikes, True, state, mine
                )
        else:
            for j in range(low, high, lanes):
                i = load(state.i, (0, j))
                n_spikes = update(
                    i, cell, weights, 0, t, j, n_spikes, False, state, mine
                )
        first[me, t + 1] = n_spikes
        release(team.counters, APART * (2 + me), t + 1)
        slot += 1
        if slot == span:
            slot = 0


@kernel
def join_team(weights, n_in, team, state, out):
    """Put the lists of the members together, and run the readout over them.

    Mutates
    -------
    state : State
        `y`, `pending` of the last steps and `time`.
    out : Trajectory
        `first`, `spike` and `y`.
    """
    _join(bare(weights), n_in, bare(team), bare(state), bare(out))


@kernel
def _join(weights, n_in, team, state, out):
    n_members, n_steps = acquire(team.counters, APART), team.first.shape[1] - 1
    span, n_spikes = weights.longest_delay, 0
    out.first[0, 0] = 0
    for t in range(n_steps):
        previous = n_spikes
        for q in range(n_members):
            for e in range(team.first[q, t], team.first[q, t + 1]):
                out.spike[n_spikes] = team.spike[e]
                n_spikes += 1
        out.first[0, t + 1] = n_spikes
        read_out(weights, 0, t, previous, n_spikes, state.y, out)
    for t in range(max(n_steps - span, 0), n_steps):
        late = (state.time[0] + t) % span
        for e in range(out.first[0, t], out.first[0, t + 1]):
            send(weights, n_in, out.spike[e], 1, late, 0, state.pending)
    state.time[0] += n_steps
