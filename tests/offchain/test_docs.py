"""The documents name tests, files and symbols that exist."""

import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = sorted((ROOT / "contracts").rglob("*.sol"))
TEST_NAME = re.compile(r"`([\w./-]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
CODE_PATH = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|sol))`")
MODULE = re.compile(r"`(fedpact(?:\.[a-z]\w*)+)")
MENTIONED = re.compile(r"\b(offchain/fedpact/[\w/]+\.py)")
CODE_ROOTS = [
    ROOT / folder for folder in (".", "offchain/fedpact", "contracts", "tests", "tests/contracts")
]
BULLET = re.compile(r"\s*([-*]|\d+\.) ")
GLOSSARY = ROOT / "docs" / "glossary.md"
WHERE = ROOT / "docs" / "where-things-are.md"
PLACE = re.compile(r"`([\w./]+\.(?:py|sol))`: `(\w+)`")
WALK = ROOT / "docs" / "how-it-works.md"
ARROWS = re.compile(r"`[\w/]+\.py`(?: → `[\w/]+\.py`)+")
TERM = re.compile(r"^\| (?P<term>.+?) \| .+? \| `(?P<symbol>\w+)` \|$", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_and_link_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    for link in LINK.findall(text):
        assert (document.parent / link).exists(), link
    for file, name in TEST_NAME.findall(text):
        candidates = list(ROOT.glob(f"tests/**/{file}"))
        assert any(f"def {name}(" in path.read_text() for path in candidates), f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_code_path_that_a_document_names_is_there(document: Path) -> None:
    for path in CODE_PATH.findall(document.read_text()):
        assert any((root / path).exists() for root in CODE_ROOTS), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_module_that_a_document_names_is_there(document: Path) -> None:
    """What follows the module is a name in it."""
    for name in MODULE.findall(document.read_text()):
        assert _defined(name), name


def _defined(name: str) -> bool:
    at, parts = ROOT / "offchain", name.split(".")
    for i, part in enumerate(parts):
        if (at / part).is_dir():
            at /= part
            continue
        module = at / f"{part}.py"
        source, rest = (
            (module, parts[i + 1 :]) if module.exists() else (at / "__init__.py", parts[i:])
        )
        return not rest or re.search(rf"\b{rest[0]}\b", source.read_text()) is not None
    return True


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_module_that_a_contract_names_is_there(source: Path) -> None:
    for path in MENTIONED.findall(source.read_text()):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_blank_line_precedes_every_list_and_table(document: Path) -> None:
    """Without it, the site shows the list as running text."""
    prose = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for before, line in itertools.pairwise(prose.splitlines()):
        starts_list = BULLET.match(line) and not BULLET.match(before)
        starts_table = line.startswith("|") and not before.startswith("|")
        if starts_list or starts_table:
            assert not before.strip() or before.startswith((" ", "#")), line


def test_each_decision_has_a_number_of_its_own_and_stands_in_the_list() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == sorted(set(numbers))
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    for number, record in zip(numbers, records, strict=True):
        assert record.read_text().startswith(f"# {number}. ")
        assert f"[{number}]({record.name})" in listed, record.name


def test_every_glossary_term_has_a_symbol_in_the_code() -> None:
    rows = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    terms = TERM.findall(GLOSSARY.read_text())
    headers = rows.count("| term | meaning | symbol |")
    assert len(terms) == len(rows) - headers
    sources = [
        path.read_text()
        for folder, pattern in (("offchain/fedpact", "*.py"), ("contracts", "*.sol"))
        for path in (ROOT / folder).rglob(pattern)
    ]
    defined = {
        name
        for source in sources
        for names in re.findall(
            r"(?:class|def|contract|library|function|struct|enum) (\w+)|^\s*(\w+)\s*(?::|=)",
            source,
            re.MULTILINE,
        )
        for name in names
    }
    assert {term: symbol for term, symbol in terms if symbol not in defined} == {}


def test_the_list_of_features_names_what_its_files_define() -> None:
    places = PLACE.findall(WHERE.read_text())
    assert len(places) > 150
    wrong = [
        f"{path}: {name}"
        for path, name in places
        if not any(_defines(root / path, name) for root in CODE_ROOTS)
    ]
    assert wrong == []


def _defines(file: Path, name: str) -> bool:
    if not file.is_file():
        return False
    starts = r"(?:async )?def|class|contract|library|function|abstract contract|type"
    named = rf"^\s*(?:(?:{starts}) {name}\b|{name}\s*[:=])"
    return re.search(named, file.read_text(), re.MULTILINE) is not None


def test_each_arrow_of_the_walk_through_a_request_is_an_import() -> None:
    package = ROOT / "offchain/fedpact"
    steps = [
        step
        for chain in ARROWS.findall(WALK.read_text())
        for step in itertools.pairwise(re.findall(r"`([\w/]+\.py)`", chain))
    ]
    assert len(steps) > 10
    for file, used in steps:
        module = used.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        parent, _, name = f"fedpact.{module}".rpartition(".")
        imported = (
            rf"from (?:fedpact\.{re.escape(module)}\b|{re.escape(parent)} import .*\b{name}\b)"
        )
        assert re.search(imported, (package / file).read_text()), f"{file} → {used}"
