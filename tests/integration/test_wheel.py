"""The wheel carries what a provider needs besides Python: ABIs and bytecode, no compiler."""

import subprocess
import sys
import zipfile
from pathlib import Path

from scripts.compile import DEPLOYED

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_carries_the_compiled_contracts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    [wheel] = tmp_path.glob("fedpact-*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        for path in DEPLOYED.paths():
            file = path.relative_to(ROOT / "offchain").as_posix()
            assert content.read(file) == (ROOT / "offchain" / file).read_bytes()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        assert b"License: MIT" in content.read(metadata)
        [licence] = [name for name in names if name.endswith("/LICENSE")]
        assert content.read(licence) == (ROOT / "LICENSE").read_bytes()
        [points] = [name for name in names if name.endswith("entry_points.txt")]
        assert b"fedpact = fedpact.cli.main:run" in content.read(points)
    assert "fedpact/py.typed" in names
    built = ("vendor/chart.umd.min.js", "vendor/idiomorph.min.js")
    shown = ("templates/base.html", "static/style.css", *(f"static/{one}" for one in built))
    assert {f"fedpact/dashboard/{one}" for one in shown} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"fedpact"}
    assert not [name for name in names if "experiment" in name or name.endswith(".toml")]
