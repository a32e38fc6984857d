"""The one file that knows how Lava gets imported.

lava-nc 0.10.0 declares Python < 3.11. On newer versions two lines of it stand in the
way, and both are bridged only while Lava is being imported:

* a dataclass default (`lava.magma.compiler.var_model.ByteEncoder`) is not hashable,
  which `dataclasses` refuses since Python 3.11;
* `multiprocessing.set_start_method("fork")` is called again although the start method
  is fixed, for example by a parallel Numba function that ran before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from spikelearn.errors import MissingDependency

__all__ = ["INSTALL_HINT", "is_installed", "prepare", "require_installed"]

INSTALL_HINT = (
    "Install it in two steps: pip install -e '.[lava]' and then "
    "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
)


def is_installed() -> bool:
    """Whether lava-nc can be found (it is not imported)."""
    return importlib.util.find_spec("lava") is not None


def require_installed() -> None:
    """Raise `MissingDependency` with the way to install it unless Lava is there."""
    if not is_installed():
        raise MissingDependency(
            "Lava needs the package 'lava-nc', which is not installed. "
            f"({INSTALL_HINT}.)"
        )


def prepare() -> str:
    """Make `import lava...` work in this process and return the version of lava-nc.

    Raises
    ------
    MissingDependency
        If lava-nc is not installed, cannot be imported, or NumPy is too new for it.
    """
    require_installed()
    release = tuple(int(part) for part in np.__version__.split(".")[:2])
    if release >= (2, 4):
        raise MissingDependency(
            f"Lava needs numpy < 2.4, since its ports hang with later ones; got numpy "
            f"{np.__version__}. (pip install 'numpy<2.4'.)"
        )
    if "lava.magma.runtime.message_infrastructure.multiprocessing" not in sys.modules:
        try:
            with _hashable_defaults(), _tolerant_start_method():
                importlib.import_module("lava.magma.compiler.var_model")
                importlib.import_module(
                    "lava.magma.runtime.message_infrastructure.multiprocessing"
                )
        except ImportError as error:
            raise MissingDependency(
                f"Lava cannot be imported: {error}. ({INSTALL_HINT}.)"
            ) from error
    return importlib.metadata.version("lava-nc")


@contextlib.contextmanager
def _hashable_defaults() -> Iterator[None]:
    original = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorate(owner: type) -> type:
            if owner.__name__ == "ByteEncoder":
                options["unsafe_hash"] = True
            return original(**options)(owner)

        return decorate if cls is None else decorate(cls)

    with _replaced(dataclasses, "dataclass", dataclass):
        yield


@contextlib.contextmanager
def _tolerant_start_method() -> Iterator[None]:
    original = multiprocessing.set_start_method

    def set_start_method(method: str | None, force: bool = False) -> None:
        if multiprocessing.get_start_method(allow_none=True) != method:
            original(method, force=force)

    with _replaced(multiprocessing, "set_start_method", set_start_method):
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Callable) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
