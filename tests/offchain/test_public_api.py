"""`import fedpact` offers the declared names, and loads little until they are used."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fedpact

HEAVY = ("numpy", "torch", "sklearn", "scipy", "pydantic", "eth_account", "web3")


@pytest.mark.parametrize("name", fedpact.__all__)
def test_each_declared_name_resolves(name: str) -> None:
    assert getattr(fedpact, name) is not None
    assert name in dir(fedpact)


def test_an_undeclared_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        fedpact.Nothing  # type: ignore[attr-defined]  # noqa: B018


def test_type_checkers_see_the_names_that_load_at_run_time() -> None:
    tree = ast.parse(Path(fedpact.__file__).read_text())
    [checked] = [
        node
        for node in tree.body
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    ]
    seen = {
        statement.module: tuple(alias.name for alias in statement.names)
        for statement in checked.body
        if isinstance(statement, ast.ImportFrom)
    }
    assert {module: set(names) for module, names in seen.items()} == {
        module: set(names) for module, names in fedpact._MODULES.items()
    }
    lazy = {name for names in seen.values() for name in names}
    assert lazy | {"__version__"} == set(fedpact.__all__)


@pytest.mark.parametrize("statement", ["import fedpact", "import fedpact.errors"])
def test_importing_loads_no_heavy_library(statement: str) -> None:
    check = f"import sys; {statement}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_daemon_starts_without_the_libraries_of_learning() -> None:
    """They load where it trains and judges."""
    check = (
        "import sys; import fedpact.provider.serve;"
        "print([m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_connecting_loads_neither_torch_nor_scikit_learn() -> None:
    check = (
        "import sys; from fedpact import connect, Request, AuditReport, Settings;"
        "print([m for m in ('torch', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_reference_page_documents_each_declared_name() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
    documented = set(re.findall(r"^::: fedpact\.(\w+)$", page.read_text(), re.MULTILINE))
    assert documented == set(fedpact.__all__) - {"__version__"}
