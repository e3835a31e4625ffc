"""docs/testing.md names each file that has slow tests, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"\bmark\.slow\b")
ROW = re.compile(r"^\| `(tests/[\w./]+\.py)` \|", re.MULTILINE)


def test_the_table_names_every_file_with_slow_tests_and_no_other() -> None:
    tests = (path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    slow = {path.relative_to(ROOT).as_posix() for path in tests if MARK.search(path.read_text())}
    assert set(ROW.findall((ROOT / "docs" / "testing.md").read_text())) == slow
