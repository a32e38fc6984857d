"""Any supervised trial-based environment of neurogym, as a task."""

from __future__ import annotations

import copy
import functools
import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from spikelearn.errors import InvalidValue, MissingDependency, require, unknown_name
from spikelearn.tasks.base import Batch, check_count, check_number
from spikelearn.tasks.generated import GeneratedTask
from spikelearn.tasks.settings import rate_settings

__all__ = ["NeurogymTask"]

INSTALL_HINT = (
    "Install it in two steps: pip install -c constraints.txt -e '.[neurogym]' and then "
    "pip install -c constraints.txt --no-deps neurogym"
)


@dataclass(frozen=True)
class NeurogymTask(GeneratedTask):
    """Trials of an environment: its observations in, its ground truth out.

    The environment has new_trial(), which leaves the observations of a whole trial in
    `ob` (T, n_in) and the right actions in `gt`, (T,) for discrete actions and
    (T, n_out) for continuous ones; seed(seed) or else reset(seed=seed); a Box as
    `observation_space`, and a Discrete or Box `action_space`. Environments of neurogym
    with the tag "supervised" do. Discrete actions make a classification with a class
    per step, continuous ones a regression.

    Every trial is drawn from a copy of the environment as made, seeded from (seed,
    trial): trials are a pure function of their number, and an environment that changes
    from trial to trial does not do so here. An environment that is handed over belongs
    to the task from then on. Trials shorter than `n_steps` are padded
    with zeros, where the loss does not count; longer ones are refused. Rewards, and
    wrappers that act on step(), have no effect.

    Source: neurogym (doi:10.5281/zenodo.14508986), which is not part of spikelearn.

    Parameters
    ----------
    env
        Id of an environment, such as "DelayComparison-v0". In Python also an
        environment or a function that makes one.
    n_steps
        Time steps T of a trial; 0 for the length of the first trial.
    dt
        Time step, ms; 0 for that of the environment.
    timing
        Durations that replace the environment's own, {period: ms}; a list of numbers
        is drawn from.
    options
        Further arguments of the environment by name.

    Raises
    ------
    MissingDependency
        If neurogym cannot be imported and `env` is an id.
    UnknownName
        If there is no such environment, or it has no such period.
    InvalidValue
        If the environment cannot be made, or is not of the form above.
    """

    env: Any = "DelayComparison-v0"
    n_steps: int = 0
    dt: float = 0.0
    timing: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "neurogym"
    input_bits: ClassVar[None] = None

    def __post_init__(self) -> None:
        where = type(self).__name__
        check_count(f"{where}.n_steps", self.n_steps, least=0)
        check_number(f"{where}.dt", self.dt, least=0, unit="ms")
        for name in ("timing", "options"):
            value = getattr(self, name)
            rule = "must be a table of names and values"
            require(isinstance(value, Mapping), f"{where}.{name}", rule, repr(value))
            object.__setattr__(self, name, dict(value))
        base = self._environment.unwrapped
        dt = getattr(base, "dt", self.dt)
        rule = f"must be that of the environment, {dt:g} ms, or 0"
        require(self.dt in (0, dt), f"{where}.dt", rule, self.dt)
        check_number(f"{where}.dt", dt, above=0, unit="ms")
        object.__setattr__(self, "dt", float(dt))
        shape = getattr(base.observation_space, "shape", None)
        rule = "must have observations that are vectors"
        require(shape is not None and len(shape) == 1, f"{where}.env", rule, shape)
        shape = getattr(base.action_space, "shape", None)
        rule = "must have discrete actions or actions that are vectors"
        discrete = hasattr(base.action_space, "n")
        vectors = shape is not None and len(shape) == 1
        require(discrete or vectors, f"{where}.env", rule, repr(base.action_space))
        observations, _ = self._trial(np.random.default_rng(0))
        if self.n_steps == 0:
            object.__setattr__(self, "n_steps", len(observations))

    @property
    def kind(self) -> str:
        """Either "classification" (discrete actions) or "regression"."""
        return "classification" if self._discrete else "regression"

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return int(self._environment.unwrapped.observation_space.shape[0])

    @property
    def n_out(self) -> int:
        """Number of discrete actions, or values of a continuous one."""
        space = self._environment.unwrapped.action_space
        return int(space.n if self._discrete else space.shape[0])

    @property
    def recommended(self) -> dict[str, dict[str, Any]]:
        """Those of the tasks 2af, dms and cxt."""
        return rate_settings()

    @property
    def _discrete(self) -> bool:
        return hasattr(self._environment.unwrapped.action_space, "n")

    @functools.cached_property
    def _environment(self) -> Any:
        """The environment that is copied for every trial."""
        if isinstance(self.env, str):
            env = _make(self.env, self._arguments())
        elif not callable(self.env):
            given = {**self.timing, **self.options}
            rule = "must be empty for an environment that is already made"
            where = f"{type(self).__name__}.timing and options"
            require(not given, where, rule, given)
            env = self.env
        else:
            env = self.env(**self._arguments())
        env = _with_trials(env)
        _seed(env, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env.reset()
        return env

    def _arguments(self) -> dict[str, Any]:
        arguments = dict(self.options)
        if self.dt:
            arguments["dt"] = int(self.dt) if self.dt == int(self.dt) else self.dt
        if self.timing:
            arguments["timing"] = dict(self.timing)
        return arguments

    def _trial(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return observations (t, n_in) and right actions, (t,) or (t, n_out)."""
        seed = int(rng.integers(2**32))
        # Functions of an environment, such as random timings, are not copied with it:
        # they go on to use the generator of the original.
        _seed(self._environment, seed)
        base = self._environment.unwrapped
        kept = (base.observation_space, base.action_space)
        env = copy.deepcopy(self._environment, {id(space): space for space in kept})
        _seed(env, seed)
        env.new_trial()
        base, where = env.unwrapped, f"{type(self).__name__}.env"
        missing = [name for name in ("ob", "gt") if not hasattr(base, name)]
        hint = "It is not made for supervised learning."
        rule = "must leave ob and gt of a trial after new_trial()"
        require(not missing, where, rule, f"no {' and '.join(missing)}", hint)
        rule = "must have observations and a right action for every step"
        shapes = (np.shape(base.ob), np.shape(base.gt))
        tail = () if self._discrete else (self.n_out,)
        steps = len(base.ob)
        fits = shapes == ((steps, self.n_in), (steps, *tail))
        require(fits, where, rule, f"shapes {shapes[0]} and {shapes[1]}")
        long = self.n_steps and steps > self.n_steps
        rule = f"must be at least as long as every trial, {steps} steps or more"
        hint = "The lengths of trials vary; timing can fix them."
        require(not long, f"{type(self).__name__}.n_steps", rule, self.n_steps, hint)
        return base.ob, base.gt

    def _batch(self, rngs: Sequence[np.random.Generator]) -> Batch:
        shape = (self.n_steps, len(rngs))
        x = np.zeros((*shape, self.n_in), np.float32)
        mask = np.zeros(shape, np.float32)
        target = np.zeros(shape, np.int64)
        if not self._discrete:
            target = np.zeros((*shape, self.n_out), np.float32)
        first = getattr(self._environment.unwrapped.action_space, "start", 0)
        for b, rng in enumerate(rngs):
            observations, actions = self._trial(rng)
            steps = len(observations)
            x[:steps, b] = observations
            target[:steps, b] = actions - first if self._discrete else actions
            mask[:steps, b] = 1.0
        return Batch(x, target, mask)


def _make(name: str, arguments: dict[str, Any]) -> Any:
    """Return the environment of an id.

    neurogym takes any period, so a misspelt one is looked for here.
    """
    env = _made(name, arguments)
    if "timing" in arguments:
        rest = {key: value for key, value in arguments.items() if key != "timing"}
        known = getattr(_made(name, rest).unwrapped, "timing", {})
        for period in arguments["timing"]:
            if period not in known:
                raise unknown_name(f"period of {name}", period, known)
    return env


def _made(name: str, arguments: dict[str, Any]) -> Any:
    neurogym, gymnasium = _packages()
    wrong = (TypeError, ValueError, AttributeError, ImportError, gymnasium.error.Error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium about what neurogym leaves out
        try:
            return neurogym.make(name, **arguments)
        except gymnasium.error.UnregisteredEnv:
            raise unknown_name("environment", name, gymnasium.registry) from None
        except wrong as error:
            raise InvalidValue(
                f"NeurogymTask.env {name!r} must be an environment that takes "
                f"{arguments}; got {type(error).__name__}: {str(error).rstrip('.')}."
            ) from error


def _packages() -> tuple[Any, Any]:
    """Return neurogym and gymnasium.

    neurogym 2.3.1 asks for an older NumPy and does not ask for torch, which it imports:
    no extra can bring it, only what it needs.
    """
    try:
        return importlib.import_module("neurogym"), importlib.import_module("gymnasium")
    except ImportError as error:
        raise MissingDependency(
            "the task neurogym needs the package 'neurogym', which cannot be imported "
            f"({error}). ({INSTALL_HINT}.)"
        ) from error


def _with_trials(env: Any) -> Any:
    """Return the outermost layer of an environment that has new_trial()."""
    layer = env
    while not hasattr(layer, "new_trial") and hasattr(layer, "env"):
        layer = layer.env
    rule = "must have a method new_trial()"
    hint = "Only trial-based environments have ground truth to learn from."
    require(hasattr(layer, "new_trial"), "NeurogymTask.env", rule, repr(env), hint)
    return layer


def _seed(env: Any, seed: int) -> None:
    base = env.unwrapped
    if hasattr(base, "seed"):
        base.seed(seed)
    else:
        base.reset(seed=seed)
