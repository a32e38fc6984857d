"""The errors that spikelearn raises on purpose.

Every message has the same four parts, in this order: where, which rule, what was got,
how to mend it, for example

    ALIF.tau_a must be > 0 ms; got -200. (Time constants are in ms.)

The command line prints such a message without a traceback and exits with status 1;
anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

MOST_NAMES = 12  # a longer list is not printed beside a suggestion


class SpikelearnError(Exception):
    """Base of every error raised on purpose."""


class InvalidValue(SpikelearnError, ValueError):
    """A parameter, array or option breaks a stated rule."""


class UnknownName(SpikelearnError, LookupError):
    """A name is not in the table it was looked up in."""


class FileFormatError(SpikelearnError, ValueError):
    """A file is corrupt, of another kind, or written by a newer version."""


class FileAccessError(SpikelearnError, OSError):
    """A file or folder cannot be read or written."""


class MissingDependency(SpikelearnError, ImportError):
    """An optional package is needed and not installed."""


class HardwareError(SpikelearnError, ValueError):
    """A network does not fit the integers or the limits of a chip."""


class OracleFailure(SpikelearnError, RuntimeError):
    """A child process (Lava, ...) failed or ran out of time."""


def require(condition: object, where: str, rule: str, got: Any, hint: str = "") -> None:
    """Raise `InvalidValue` with the standard message unless `condition` holds."""
    if not condition:
        shown = f"{got:g}" if isinstance(got, float) else str(got)
        tail = f" ({hint})" if hint else ""
        raise InvalidValue(f"{where} {rule}; got {shown}.{tail}")


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownName:
    """Build the error for a name not in a table, with the closest known name."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if not close or len(names) <= MOST_NAMES:
        hint += f" (Known: {', '.join(names) or 'none'}.)"
    return UnknownName(f"unknown {kind} {name!r}.{hint}")


def optional_import(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say which extra of spikelearn brings it.

    Raises
    ------
    MissingDependency
        If the package cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependency(
            f"{purpose} needs the package {package!r}, which cannot be imported "
            f"({error}). (Install it with: pip install -e '.[{extra}]'.)"
        ) from error
