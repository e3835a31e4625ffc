"""MkDocs hooks: files of the documentation site that come from elsewhere in the repository."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from scripts import natspec

ROOT = Path(__file__).resolve().parent.parent
MERMAID = ROOT / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the contracts' reference, and the script that draws diagrams: by default material loads
    it from a CDN."""
    files.append(File.generated(config, "reference/contracts.md", content=natspec.page()))
    files.append(File.generated(config, "assets/mermaid.tiny.js", abs_src_path=str(MERMAID)))
    return files
