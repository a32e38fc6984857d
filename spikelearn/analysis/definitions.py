"""Every rule as its source writes it, in plain NumPy: what `gradcheck` compares with.

Each synapse has its own eligibility trace, which runs forward in time for one sample at
a time; what comes back from other neurons is written out. Nothing here calls the
kernels that compute the rules in training, whose reverse sweeps have no eligibility.
BPTT and RTRL, which share no code, are the definition of each other. Time and memory
grow with the number of synapses: this is for small networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np

from spikelearn.errors import InvalidValue
from spikelearn.learning.gradients import Gradients
from spikelearn.learning.rules import (
    BPTT,
    DECOLLE,
    MDGL,
    RFLO,
    RSTDP,
    RTRL,
    STLLR,
    EProp,
    ModProp,
    Rule,
    SnAp1,
)
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import Record, RecurrentNetwork
from spikelearn.network.cells import decay_factor

__all__ = ["define", "obstacle"]

# Numbers to be computed for one sample: some ten seconds.
MOST_WORK = 3e8
MOST_FILTER_WORK = 5e10


class _Trial(NamedTuple):
    """One sample, all arrays float64."""

    x: np.ndarray  # (T, n_in)
    output: np.ndarray  # (T, N)
    slope: np.ndarray  # (T, N): psi, or f'
    voltage: np.ndarray  # (T, N), zeros where nobody asks
    broadcast: np.ndarray  # (T, n_out)
    feedback: np.ndarray  # (N, n_out)
    plain: np.ndarray  # (T, N): neuron + direct
    reward: np.ndarray  # (T,)


class _Modulation(NamedTuple):
    """Factors of the traces of a synapse: what a rule sums over time, each (T, N)."""

    filtered: np.ndarray  # of F_kappa(e)[t] times out_gain
    plain: np.ndarray  # of e[t]
    late: np.ndarray  # of F_kappa(e)[t - 1] times out_gain


def obstacle(rule: Rule, network: RecurrentNetwork, n_steps: int) -> str | None:
    """Return why a definition cannot be evaluated, or None.

    Parameters
    ----------
    n_steps
        Length of a trial.
    """
    if not isinstance(rule, (BPTT, RTRL, *_DEFINITIONS)):
        return "no definition is known for this rule"
    if isinstance(rule, BPTT):
        try:
            RTRL().check(network)
        except InvalidValue:
            return f"n_rec = {network.n_rec} is too large for rtrl, its definition"
    if isinstance(rule, MDGL) and rule.variant == "online" and _is_slow(network):
        return "variant 'online' is defined for delays of 1 step"
    work = network.n_rec * (network.n_in + network.n_rec) * n_steps
    if work > MOST_WORK:
        return (
            f"{network.n_rec} neurons, {network.n_in} inputs and {n_steps} steps are "
            "too much for a trace at every synapse"
        )
    if isinstance(rule, ModProp) and (network.n_rec * n_steps) ** 2 > MOST_FILTER_WORK:
        return f"{n_steps} steps are too many for a filter over all lags"
    return None


def define(
    rule: Rule,
    network: RecurrentNetwork,
    x: np.ndarray,
    record: Record,
    signal: LearningSignal,
) -> Gradients:
    """Evaluate the definition of a rule for a recorded batch.

        e_pq[t] = dr_p[t]/dw_pq through neuron p alone, forward in time
        e-prop, RFLO   sum_t L_p F(e)_pq + M_p e_pq,  L = B broadcast, M = other signals
        SnAp-1         the same, with the paths of p to itself in e
        DECOLLE        sum_t M_p e_pq
        MDGL           sum_t (D_p + M_p + Gamma_p) e_pq
        MDGL online    e-prop + sum_t Gamma'_p[t] F(e)_pq[t-1]
        ModProp        as MDGL; Gamma from the impulse response of the smoothed network
        S-TLLR, R-STDP sums over pairs of events by two traces per synapse
        BPTT, RTRL     each other

    with D_p[t] = sum_k B_pk out_gain sum_(s>=t) kappa^(s-t) broadcast_k[s] and F the
    filter of the readout times out_gain. Equations and sources stand in the docstrings
    of the rules.

    Parameters
    ----------
    x : (T, B, n_in) array
        The input of the record.
    record
        With the states that `rule.needs` names.

    Raises
    ------
    InvalidValue
        If `obstacle` says so, or the rule is not defined for the network or the signal.
    """
    problem = obstacle(rule, network, record.n_steps)
    if problem is not None:
        raise InvalidValue(f"definition of {rule.info.name!r}: {problem}.")
    rule.check(network)
    if isinstance(rule, BPTT):
        return RTRL(rule.reset).gradients(network, record, signal)
    if isinstance(rule, RTRL):
        return BPTT(rule.reset).gradients(network, record, signal)
    kind = next(k for k in _DEFINITIONS if isinstance(rule, k))
    n, n_in = network.n_rec, network.n_in
    total = np.zeros((n, n_in + n + 1))
    w_out, b_out = np.zeros((network.n_out, n)), np.zeros(network.n_out)
    slope = _slopes(network, record.distance)
    for b in range(record.n_samples):
        trial = _trial(rule, network, x, record, signal, slope, b)
        total += _DEFINITIONS[kind](rule, network, trial)
        error = signal.error[:, b].astype(np.float64)
        kappa, gain = network.readout.factors(network.dt)
        trace, one = np.zeros(n), 0.0
        for t, output in enumerate(trial.output):
            trace = kappa * trace + gain * output
            one = kappa * one + 1.0
            w_out += np.outer(error[t], trace)
            b_out += one * error[t]
    masks = network.masks
    return Gradients(
        w_in=total[:, :n_in] * masks["w_in"],
        w_rec=total[:, n_in:-1] * masks["w_rec"],
        w_out=w_out * masks["w_out"],
        b_out=b_out,
        bias=total[:, -1],
    )


def _trial(
    rule: Rule,
    network: RecurrentNetwork,
    x: np.ndarray,
    record: Record,
    signal: LearningSignal,
    slope: np.ndarray,
    b: int,
) -> _Trial:
    n_steps, n = record.n_steps, network.n_rec
    plain = np.zeros((n_steps, n))
    if signal.neuron is not None:
        plain += signal.neuron[b]
    if signal.direct is not None:
        plain += signal.direct[:, b]
    broadcast = signal.error if signal.broadcast is None else signal.broadcast
    voltage = np.zeros((n_steps, n))
    if "v" in rule.needs(network):
        voltage = record.state("v")[:, b].astype(np.float64)
    reward = np.zeros(n_steps) if signal.reward is None else signal.reward[:, b]
    return _Trial(
        x=x[:, b].astype(np.float64),
        output=record.output[:, b].astype(np.float64),
        slope=slope[:, b],
        voltage=voltage,
        broadcast=broadcast[:, b].astype(np.float64),
        feedback=np.asarray(signal.feedback, np.float64),
        plain=plain,
        reward=reward,
    )


def _slopes(network: RecurrentNetwork, distance: np.ndarray) -> np.ndarray:
    """Return psi(v - A) of spiking cells, f'(u) of rate units."""
    cell = cast(Any, network.cell)
    d = distance.astype(np.float64)
    if cell.kind == "rate":
        if cell.activation == "relu":
            return (d > 0).astype(np.float64)
        if cell.activation == "tanh":
            return 1.0 - np.tanh(d) ** 2
        return 0.5 * (1.0 + np.tanh(0.5 * d))
    v_th = cell.per_neuron("v_th", network.n_rec)
    height = cell.surrogate.gamma / v_th
    distances = np.abs(d) / (cell.surrogate.width * v_th)
    shapes = {
        "triangular": lambda u: np.maximum(0.0, 1.0 - u),
        "fast-sigmoid": lambda u: 1.0 / (1.0 + u) ** 2,
        "exponential": lambda u: np.exp(-u),
        "arctan": lambda u: 1.0 / (1.0 + u**2),
    }
    return height * shapes[cell.surrogate.name](distances)


def _delays(network: RecurrentNetwork) -> np.ndarray:
    return np.broadcast_to(network.delay, (network.n_rec, network.n_rec))


def _is_slow(network: RecurrentNetwork) -> bool:
    return bool((_delays(network) > 1).any())


def _presynaptic(network: RecurrentNetwork, trial: _Trial, t: int) -> np.ndarray:
    """Return what arrives at every synapse, (N, n_in + N + 1); the bias gets 0."""
    n, n_in = network.n_rec, network.n_in
    sent = t - _delays(network)
    arrived = trial.output[np.maximum(sent, 0), np.arange(n)]
    pre = np.zeros((n, n_in + n + 1))
    pre[:, :n_in] = trial.x[t]
    pre[:, n_in:-1] = np.where(sent >= 0, arrived, 0.0)
    return pre


def _eligibility(
    network: RecurrentNetwork, trial: _Trial, own_paths: bool
) -> Iterator[np.ndarray]:
    """Yield e_pq[t] = dr_p[t]/dw_pq, (N, n_in + N + 1), the bias last.

        inside, spiking: di = alpha_s di + pre,  dv = alpha_m dv + zeta di [+ 1, bias]
                         e = psi (dv - beta da), da = rho da + e
        outside:         du = di [+ 1, bias],    e = alpha_m e + zeta f' du

    A reset to zero clears dv. With `own_paths` the output of the neuron acts on the
    neuron itself: w_pp e[t - d] enters di, and the reset is differentiated.
    """
    cell = network.cell_constants
    names = ("alpha_m", "alpha_s", "zeta", "rho", "beta", "v_th")
    columns = [getattr(cell, k).astype(np.float64)[:, None] for k in names]
    alpha_m, alpha_s, zeta, rho, beta, v_th = columns
    n = network.n_rec
    shape = (n, network.n_in + n + 1)
    d_current, d_state, d_adaptation = (np.zeros(shape) for _ in range(3))
    w_own = np.diagonal(network.params.w_rec).astype(np.float64)[:, None]
    d_own = np.diagonal(_delays(network))
    past = np.zeros((int(d_own.max()), *shape))  # e, newest first
    for t in range(len(trial.output)):
        d_current = alpha_s * d_current + _presynaptic(network, trial, t)
        if own_paths:
            d_current += w_own * past[d_own - 1, np.arange(n)]
        psi, z = trial.slope[t][:, None], trial.output[t][:, None]
        if cell.outside:
            d_u = d_current.copy()
            d_u[:, -1] += 1.0
            d_state = alpha_m * d_state + zeta * psi * d_u
            e = d_state
        else:
            d_state = alpha_m * d_state + zeta * d_current
            d_state[:, -1] += 1.0
            if own_paths and network.spiking and not cell.reset_to_zero:
                d_state -= v_th * past[0]
            e = psi * (d_state - beta * d_adaptation)
            d_adaptation = rho * d_adaptation + e
        if network.spiking and cell.reset_to_zero:
            d_state = (1.0 - z) * d_state
            if own_paths:
                silent = psi == 0
                d_state -= np.where(silent, 0.0, trial.voltage[t][:, None] * e)
        past = np.concatenate([e[None], past[:-1]])
        yield e


def _summed(
    network: RecurrentNetwork,
    trial: _Trial,
    modulation: _Modulation,
    own_paths: bool = False,
) -> np.ndarray:
    kappa, gain = network.readout.factors(network.dt)
    total, filtered = np.zeros(()), np.zeros(())
    for t, e in enumerate(_eligibility(network, trial, own_paths)):
        late = filtered
        filtered = kappa * filtered + gain * e
        total = total + modulation.filtered[t][:, None] * filtered
        total += modulation.plain[t][:, None] * e
        total += modulation.late[t][:, None] * late
    return total


def _local(rule: Any, network: RecurrentNetwork, trial: _Trial) -> np.ndarray:
    signal = trial.broadcast @ trial.feedback.T
    modulation = _Modulation(signal, trial.plain, np.zeros_like(signal))
    return _summed(network, trial, modulation, isinstance(rule, SnAp1))


def _decolle(rule: Any, network: RecurrentNetwork, trial: _Trial) -> np.ndarray:
    none = np.zeros_like(trial.plain)
    return _summed(network, trial, _Modulation(none, trial.plain, none))


def _readout_signal(network: RecurrentNetwork, trial: _Trial) -> np.ndarray:
    """Return D_p[t], the effect of an output of p on the loss by the readout alone."""
    kappa, gain = network.readout.factors(network.dt)
    ebar = np.zeros(network.n_out)
    direct = np.empty_like(trial.output)
    for t in range(len(direct) - 1, -1, -1):
        ebar = kappa * ebar + trial.broadcast[t]
        direct[t] = gain * trial.feedback @ ebar
    return direct


def _type_means(network: RecurrentNetwork, existing: bool) -> np.ndarray:
    """Return the mean weight between the types of every pair of neurons."""
    types = cast(np.ndarray, network.cell_types)
    mask = cast(np.ndarray, network.mask)
    means = np.zeros(mask.shape)
    for post in np.unique(types):
        for pre in np.unique(types):
            block = np.ix_(types == post, types == pre)
            there = mask[block]
            weights = network.params.w_rec[block].astype(np.float64) * there
            n = there.sum() if existing else there.size
            means[block] = weights.sum() / n if n else 0.0
    return means


def _mdgl(rule: MDGL, network: RecurrentNetwork, trial: _Trial) -> np.ndarray:
    hop = network.params.w_rec.astype(np.float64)
    if rule.variant != "one-hop":
        hop = _type_means(network, existing=True)
        if not rule.non_local:
            hop = hop * cast(np.ndarray, network.mask)
    zeta = network.cell_constants.zeta.astype(np.float64)
    signal = trial.broadcast @ trial.feedback.T
    if rule.variant == "online":
        gamma = (zeta * trial.slope * signal) @ hop
        return _summed(network, trial, _Modulation(signal, trial.plain, gamma))
    direct = _readout_signal(network, trial)
    gamma = _through_delays(network, hop, zeta * trial.slope * direct)
    none = np.zeros_like(gamma)
    total = direct + trial.plain + gamma
    return _summed(network, trial, _Modulation(none, total, none))


def _through_delays(
    network: RecurrentNetwork, hop: np.ndarray, back: np.ndarray
) -> np.ndarray:
    """Return sum_j h_jp back_j[t + d_jp] for every p and t, (T, N)."""
    delays = _delays(network)
    total = np.zeros_like(back)
    for d in np.unique(delays):
        if d < len(back):
            total[:-d] += back[d:] @ np.where(delays == d, hop, 0.0)
    return total


def _modprop(rule: ModProp, network: RecurrentNetwork, trial: _Trial) -> np.ndarray:
    direct = _readout_signal(network, trial)
    cell = network.cell_constants
    source = trial.slope * direct
    if cell.outside:  # the leak stands between the derivative and the readout
        leaked = direct.copy()
        for t in range(len(direct) - 2, -1, -1):
            leaked[t] += cell.alpha_m * leaked[t + 1]
        source = cell.zeta * trial.slope * leaked
    gamma = np.zeros_like(direct)
    n_steps = len(direct)
    for lag, response in enumerate(_impulse_response(rule.mu, network, n_steps)):
        gamma[: n_steps - lag] += source[lag:] @ response
    none = np.zeros_like(gamma)
    total = direct + trial.plain + gamma
    return _summed(network, trial, _Modulation(none, total, none))


def _impulse_response(
    mu: float, network: RecurrentNetwork, n_steps: int
) -> Iterator[np.ndarray]:
    """Yield the filter of ModProp at lags 0, 1, ..., each (N, N) as (post, pre).

    It is the voltage (or the argument of f outside of the leak) of every neuron, `lag`
    steps after a unit output of another, in a network whose outputs are mu times that
    and whose weights are means over types.
    """
    cell, n = network.cell_constants, network.n_rec
    columns = (cell.alpha_m, cell.alpha_s, cell.zeta)
    alpha_m, alpha_s, zeta = (c.astype(np.float64)[:, None] for c in columns)
    hop, delays = _type_means(network, existing=False), _delays(network)
    hops = {int(d): np.where(delays == d, hop, 0.0) for d in np.unique(delays)}
    sent = [np.eye(n)]
    current, state = np.zeros((n, n)), np.zeros((n, n))
    for lag in range(n_steps):
        current = alpha_s * current
        for d, weights in hops.items():
            if d <= lag:
                current += weights @ sent[lag - d]
        if cell.outside:
            yield current
            state = alpha_m * state + zeta * mu * current
            output = state
        else:
            state = alpha_m * state + zeta * current
            yield state
            output = mu * state
        if lag:
            sent.append(output)


def _stllr(rule: STLLR, network: RecurrentNetwork, trial: _Trial) -> np.ndarray:
    signal = trial.broadcast @ trial.feedback.T + trial.plain
    before, after = np.zeros(()), np.zeros((network.n_rec, 1))
    total = np.zeros(())
    for t, psi in enumerate(trial.slope):
        pre = _presynaptic(network, trial, t)
        before = rule.lambda_pre * before + pre
        pairs = rule.alpha_pre * psi[:, None] * before + rule.alpha_post * after * pre
        pairs[:, -1] = psi
        total = total + signal[t][:, None] * pairs
        after = rule.lambda_post * after + psi[:, None]
    return total


def _rstdp(rule: RSTDP, network: RecurrentNetwork, trial: _Trial) -> np.ndarray:
    taus = (rule.tau_plus, rule.tau_minus, rule.tau_e)
    plus, minus, fade = (float(decay_factor(tau, network.dt)) for tau in taus)
    before, after = np.zeros(()), np.zeros((network.n_rec, 1))
    tag, total = np.zeros(()), np.zeros(())
    for t, z in enumerate(trial.output):
        pre = _presynaptic(network, trial, t)
        before = plus * before + pre
        pairs = rule.a_plus * z[:, None] * before - rule.a_minus * after * pre
        tag = fade * tag + pairs
        total = total - trial.reward[t] * tag
        after = minus * (after + z[:, None])
    return total


_DEFINITIONS: dict[type, Callable[[Any, RecurrentNetwork, _Trial], np.ndarray]] = {
    EProp: _local,
    RFLO: _local,
    SnAp1: _local,
    DECOLLE: _decolle,
    MDGL: _mdgl,
    ModProp: _modprop,
    STLLR: _stllr,
    RSTDP: _rstdp,
}
