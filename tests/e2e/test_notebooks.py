"""The notebooks of docs/notebooks, as a newcomer runs them: on the market that `fedpact devnet
market` starts, in a kernel of their own."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from fedpact.demo.playground import playground

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_SECONDS = 300

by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("market")
    with playground(folder):
        yield folder


@pytest.mark.slow
@by_name
def test_a_notebook_runs(market: Path, path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(market)}}
    NotebookClient(notebook, timeout=CELL_SECONDS, resources=where).execute()


@by_name
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    """Noise makes the figures of each run its own."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kept = [cell.source for cell in code if cell.outputs or cell.execution_count is not None]
    assert not kept, f"clear the outputs of {path.name}"


@by_name
def test_a_notebook_imports_no_inner_part(path: Path) -> None:
    assert "from fedpact" not in path.read_text()
    assert "import fedpact." not in path.read_text()
