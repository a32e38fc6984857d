"""Runs on disk: configuration, run folders, train, resume, evaluate."""

from spikelearn.runs.config import RunConfig, load_config, resolve_config
from spikelearn.runs.folder import RunFolder
from spikelearn.runs.run import Run, evaluate, load_run, resume, train

__all__ = [
    "Run",
    "RunConfig",
    "RunFolder",
    "evaluate",
    "load_config",
    "load_run",
    "resolve_config",
    "resume",
    "train",
]
