"""Families of installed packages: `[project.entry-points."fedpact.families"]`, or a Flower app's.

A specification names the package, its version and a digest of its files, so that all parties run
the same code or none. Metadata alone is read until a family is used: no code of a package runs
because it is installed.
"""

import re
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import (
    Distribution,
    EntryPoint,
    distributions,
    entry_points,
)
from importlib.util import find_spec
from pathlib import Path

from fedpact.errors import UnknownFamily
from fedpact.types.document import canonical_json
from fedpact.types.specification import FamilyPackage

GROUP = "fedpact.families"
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""Of a family."""


@lru_cache(maxsize=1)
def packaged() -> dict[str, EntryPoint]:
    """Families of installed packages by name; one that two packages offer is left out."""
    found: dict[str, list[EntryPoint]] = {}
    for one in entry_points(group=GROUP):
        if NAME.fullmatch(one.name) and one.dist is not None:
            found.setdefault(one.name, []).append(one)
    return {name: every[0] for name, every in found.items() if len(every) == 1}


@lru_cache(maxsize=64)
def package_of(name: str) -> FamilyPackage:
    """The package that a family of this name comes from, as it is installed here.

    Raises UnknownFamily if no package, or more than one, offers it, or its files are not in one
    import package.
    """
    offered = packaged().get(name)
    if offered is None or offered.dist is None:
        raise UnknownFamily(
            f"model family {name!r} is unknown: fedpact has none of this name, and no installed"
            f" package, or more than one, offers it ({GROUP})"
        )
    return _pinned(f"model family {name!r}", offered.dist, offered.module)


@lru_cache(maxsize=64)
def package_of_app(app: str, package: str | None = None) -> FamilyPackage:
    """As `installed_app`, as it was when it was first asked for."""
    return installed_app(app, package)


def installed_app(app: str, package: str | None = None) -> FamilyPackage:
    """The package of an app's entry point, `module:attribute`, as it is installed here and now.

    package: its name, if it is known: to look through all that is installed takes a second.
    Raises UnknownFamily if none, or more than one, has the module.
    """
    top = app.partition(":")[0].partition(".")[0]
    if find_spec("flwr") is None:
        raise UnknownFamily(f"app {app}: Flower is not installed here: pip install fedpact[flower]")
    searched = distributions() if package is None else distributions(name=package)
    found = {one.name: one for one in searched if _provides(one, top)}
    if len(found) != 1:
        raise UnknownFamily(
            f"app {app}: no installed package, or more than one, has the module {top!r}"
            + (f" and the name {package}" if package else "")
            + "; pip install the app's folder, without --editable"
        )
    return _pinned(f"app {app}", found.popitem()[1], top)


def _provides(dist: Distribution, module: str) -> bool:
    listed = dist.read_text("top_level.txt")
    if listed is not None:
        return module in listed.split()
    return any(file.parts[0] in (module, f"{module}.py") for file in dist.files or ())


def _pinned(whose: str, dist: Distribution, module: str) -> FamilyPackage:
    files = _files(_root(whose, module.partition(".")[0]))
    listed = {"package": dist.name, "version": dist.version, "files": files}
    digest = sha256(canonical_json(listed)).hexdigest()
    return FamilyPackage(name=dist.name, version=dist.version, digest=digest)


def _root(whose: str, module: str) -> Path:
    """Folder of an import package, or its only file."""
    found = find_spec(module)
    if found is None or found.origin is None:
        raise UnknownFamily(f"{whose}: its package has no module {module!r}")
    folders = list(found.submodule_search_locations or ())
    return Path(folders[0]) if folders else Path(found.origin)


def _files(root: Path) -> dict[str, str]:
    """Hex SHA-256 of each file, by its path; of all that can be imported or read as data."""
    every = [root] if root.is_file() else sorted(one for one in root.rglob("*") if one.is_file())
    base = root.parent
    return {
        one.relative_to(base).as_posix(): sha256(one.read_bytes()).hexdigest()
        for one in every
        if one.suffix != ".pyc" and "__pycache__" not in one.parts
    }
