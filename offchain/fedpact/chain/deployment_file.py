"""Reads and writes the file that says where a deployment's contracts are."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fedpact.errors import DeploymentError
from fedpact.types.deployment import LARGE, USUAL, Deployment, SecondDeployment

_MOST_BYTES = 4_096
"""Of a deployment file."""
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("chain_id", "block", "protocol", "min_window"), int),
    "versions": dict,
    "resale": str | None,
}


def require_writable(path: Path) -> None:
    """Raise DeploymentError if a deployment could not be saved: the file exists, or its folder or
    disk takes no more."""
    if path.exists():
        raise DeploymentError(
            f"{path} already describes a deployment: name another file or remove it"
        )
    with _written_beside(path, " " * _MOST_BYTES):
        pass


def save(deployment: Deployment, path: Path) -> None:
    """Write the deployment file; DeploymentError if it describes another deployment."""
    content = json.dumps(asdict(deployment), indent=2) + "\n"
    with _written_beside(path, content) as fresh:
        try:
            os.link(fresh, path)  # fails if the file exists, even if only since a moment ago
        except FileExistsError:
            if load(path).fingerprint != deployment.fingerprint:
                raise DeploymentError(
                    f"{path} describes another deployment (market {load(path).market}):"
                    " name another file or remove it"
                ) from None


@contextmanager
def _written_beside(path: Path, content: str) -> Iterator[Path]:
    """A file with this content in the folder of another one, for as long as the block takes."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_text(content, encoding="utf-8")
            yield fresh
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise DeploymentError(f"cannot write {path}: {error.strerror}") from error


def load(path: Path) -> Deployment:
    """Read a deployment file; DeploymentError if it is missing or invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DeploymentError(f"no deployment file {path}: {error.strerror}") from error
    except ValueError as error:
        raise DeploymentError(f"{path} is not a deployment file: {error}") from error
    return read(text, str(path))


def load_second(path: Path) -> SecondDeployment:
    """As `load`; DeploymentError also for contracts of the first protocol, which can be audited and
    not used."""
    return require_second(load(path), path)


def require_second(found: Deployment, path: Path) -> SecondDeployment:
    """See `load_second`; `path`: of the file that describes it."""
    if not isinstance(found, SecondDeployment):
        raise DeploymentError(
            f"{path} describes contracts of the first protocol: `fedpact audit` reads them, and"
            " nothing else does"
        )
    return found


def read(text: str, name: str) -> Deployment:
    """The deployment that a file's text describes; DeploymentError, with the file's name, if it
    describes none."""
    try:
        facts: Any = json.loads(text)
        if not isinstance(facts, dict):
            raise ValueError(f"an object is needed, not {type(facts).__name__}")
        protocol = facts.get("protocol", Deployment.protocol)
        if protocol not in (Deployment.protocol, SecondDeployment.protocol):
            raise DeploymentError(
                f"{name} describes protocol {protocol}: this version knows 1 and 2"
            )
        second = protocol == SecondDeployment.protocol
        deployment = SecondDeployment(**facts) if second else Deployment(**facts)
    except (ValueError, TypeError, RecursionError) as error:
        raise DeploymentError(f"{name} is not a deployment file: {error}") from error
    for field in fields(deployment):
        value = getattr(deployment, field.name)
        if not isinstance(value, _TYPES.get(field.name, str)):
            raise DeploymentError(f"{name} is not a deployment file: {field.name} is {value!r}")
    kinds = (USUAL, LARGE)
    if isinstance(deployment, SecondDeployment) and deployment.rounds_kind not in kinds:
        raise DeploymentError(
            f"{name} is not a deployment file: rounds_kind is {deployment.rounds_kind!r}, neither"
            f" {USUAL} nor {LARGE}"
        )
    return deployment
