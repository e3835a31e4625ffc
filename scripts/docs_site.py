"""MkDocs hooks: files of the documentation site that come from elsewhere in the repository."""

import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts import natspec

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "docs" / "notebooks"
NOTEBOOK_LINK = re.compile(r"(\]\([\w./-]+)\.ipynb\)")
MERMAID = ROOT / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+|"""
    r"""<link\b[^>]*\brel=["']stylesheet["'][^>]*\bhref=["'](?:https?:)?//[^"']+"""
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the contracts' reference, a page for each notebook, and the script that draws diagrams:
    by default material loads it from a CDN."""
    files.append(File.generated(config, "reference/contracts.md", content=natspec.page()))
    files.append(File.generated(config, "assets/mermaid.tiny.js", abs_src_path=str(MERMAID)))
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        page = File.generated(config, f"notebooks/{path.stem}.md", content=_notebook_page(path))
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between documents name the notebook itself, for readers of the repository; on the site
    they lead to its page."""
    return NOTEBOOK_LINK.sub(r"\1.md)", markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Fail for a page that loads anything from another host."""
    found = LOADED.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} loads from another host: {found.group()}")
    return output


def _notebook_page(path: Path) -> str:
    """A notebook's cells. It is kept without outputs: noise makes each run's figures its own."""
    cells = [
        cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
        for cell in nbformat.read(path, as_version=4).cells
    ]
    download = f'<a href="{path.name}" download>Download this notebook</a>'
    return "\n\n".join([cells[0], download, *cells[1:]])
