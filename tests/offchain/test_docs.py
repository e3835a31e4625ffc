"""The documents name tests, files and commands that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEST_NAME = re.compile(r"`([\w./-]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_and_link_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    for link in LINK.findall(text):
        assert (document.parent / link).exists(), link
    for file, name in TEST_NAME.findall(text):
        candidates = list(ROOT.glob(f"tests/**/{file}"))
        assert any(f"def {name}(" in path.read_text() for path in candidates), f"{file}::{name}"
