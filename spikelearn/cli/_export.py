"""The folder of an export: written as a whole, read with checks."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hardware.description import NetworkDescription
from hardware.export.runner import RUNNER
from hardware.quantization_report import QuantizationReport
from hardware.verification import VerificationReport
from spikelearn.errors import FileAccessError, FileFormatError
from spikelearn.files import ensure_folder, read_json, write_json
from spikelearn.learning.evaluation import Evaluation

__all__ = [
    "DESCRIPTION",
    "JSON",
    "QUANTIZATION",
    "VERIFICATION",
    "Scores",
    "VerifiedNetwork",
    "check_target",
    "find_description",
    "read_scores",
    "read_verification",
    "replaced_folder",
    "verification_dict",
    "write_scores",
    "write_verification",
]

DESCRIPTION = "network.h5"
QUANTIZATION = "quantization.json"
VERIFICATION = "verification.json"
JSON = "network.json"
FILES = {DESCRIPTION, JSON, "network.py", RUNNER, QUANTIZATION, VERIFICATION}
MOST_PROBLEMS = 3
T = TypeVar("T")


@dataclass(frozen=True)
class Scores:
    """What `quantization.json` holds; the digest is that of the network beside it."""

    quantization: QuantizationReport
    float: Evaluation
    fixed: Evaluation
    network_sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class VerifiedNetwork(VerificationReport):
    """What `verification.json` holds; the digest is that of the verified network."""

    network_sha256: str = ""


def check_target(folder: Path) -> None:
    """Check that an export may replace a path: absent, empty, or an export.

    Raises
    ------
    FileAccessError
        If it is a file or holds anything else; nothing is changed.
    """
    where = f"export folder {str(folder)!r}"
    hint = "(Choose another folder with --out. Nothing was changed.)"
    try:
        found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise FileAccessError(
            f"{where} must be a folder that can be read; got: {error.strerror}. {hint}"
        ) from error
    others = sorted(found - FILES)
    if others:
        raise FileAccessError(
            f"{where} must be new, empty or an older export; got {others[0]!r} in it. "
            f"{hint}"
        )
    if found and DESCRIPTION not in found:
        raise FileAccessError(
            f"{where} must be new, empty or an older export; got no {DESCRIPTION} "
            f"beside {sorted(found)[0]!r}. {hint}"
        )


@contextlib.contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `folder` when the block ends well.

    On any error it is removed, and an older export stays as it was.

    Raises
    ------
    FileAccessError
        If `folder` may not be replaced (see `check_target`) or not be written.
    """
    target = folder.resolve()
    ensure_folder(target.parent)
    temporary, older = (
        target.with_name(f".{target.name}.{os.getpid()}.{kind}")
        for kind in ("tmp", "old")
    )
    try:
        temporary.mkdir()
        yield temporary
        check_target(folder)
        _exchange(temporary, target, older)
    except FileAccessError:
        raise
    except OSError as error:
        raise FileAccessError(
            f"export folder {str(folder)!r} must be writable; got: "
            f"{error.strerror or error}. (Nothing was changed.)"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, target: Path, older: Path) -> None:
    """Rename `new` to `target`; put the older folder back if that fails."""
    if not target.exists():
        os.rename(new, target)
        return
    os.rename(target, older)
    try:
        os.rename(new, target)
    except BaseException:
        os.rename(older, target)
        raise
    shutil.rmtree(older, ignore_errors=True)


def find_description(path: Path) -> Path:
    """Return the description file that a path stands for.

    Raises
    ------
    FileAccessError
        If there is none.
    """
    for candidate in (path, path / DESCRIPTION, path / "export" / DESCRIPTION):
        if candidate.is_file():
            return candidate
    raise FileAccessError(
        f"{str(path)!r} must be a network.h5, an export folder or an exported run; got "
        f"no network in it. (Make one with: spikelearn export {path})"
    )


def write_scores(folder: Path, scores: Scores) -> None:
    """Write `quantization.json`."""
    write_json(folder / QUANTIZATION, scores.to_dict())


def write_verification(
    folder: Path, report: VerificationReport, description: NetworkDescription
) -> None:
    """Write `verification.json`, with the digest of the network it is of."""
    digest = {"network_sha256": description.sha256()}
    write_json(folder / VERIFICATION, verification_dict(report) | digest)


def verification_dict(report: VerificationReport) -> dict[str, Any]:
    """Return a verification as plain values."""
    values = dataclasses.asdict(report)
    return values | {
        "differing_values": report.differing_values,
        "passed": report.passed,
    }


def read_scores(folder: Path) -> Scores:
    """Read `quantization.json`.

    Raises
    ------
    FileAccessError
        If it cannot be opened.
    FileFormatError
        If it does not hold what `write_scores` writes.
    """
    return _checked(folder / QUANTIZATION, Scores, "export")


def read_verification(folder: Path) -> VerifiedNetwork | None:
    """Read `verification.json`; None where there is none.

    Raises
    ------
    FileAccessError
        If it cannot be opened.
    FileFormatError
        If it does not hold what `write_verification` writes.
    """
    path = folder / VERIFICATION
    return _checked(path, VerifiedNetwork, "verify") if path.exists() else None


def _checked(path: Path, kind: type[T], verb: str) -> T:
    content = read_json(path)
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'content'}: {problem['msg']}"
            for problem in error.errors()[:MOST_PROBLEMS]
        ]
        raise FileFormatError(
            f"file {str(path)!r} must hold what spikelearn {verb} writes; got "
            f"{'; '.join(problems)}. (Make it again with: spikelearn {verb})"
        ) from error
