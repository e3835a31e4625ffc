"""A table as a firm exports it."""

from pathlib import Path

import numpy as np

FAILURES = 30
ROWS = 600


def maintenance_export(folder: Path) -> Path:
    """A maintenance table as a German spreadsheet exports it: 5 % failures, an id that tells the
    label, a flag that is set after the failure, units, gaps, dates and words."""
    generator = np.random.default_rng(0)
    lines = [
        "\ufeffLaufnr;Maschine;Typ;Temperatur;Drehmoment;gebaut;gewartet;Werk;Alarm;Kennung;failure"
    ]
    for row in range(ROWS):
        failed = row % (ROWS // FAILURES) == 0
        torque = f"{1000 + generator.integers(0, 9000) / 10 + 300 * failed:,.1f}"
        german = torque.translate(str.maketrans(",.", ".,"))
        lines.append(
            f"{row};M-{row % 40};{'LMH'[row % 3]};{generator.integers(20, 40)},{row % 10} °C;"
            f"{german};{1 + row % 28:02d}.03.2024;{'ja' if row % 2 else 'nein'};Lübeck;"
            f"{int(failed)};{'f' if failed else 'ok'}-{row};{int(failed)}"
        )
    lines[1 + 7] = lines[1 + 7].replace(";H;", ";NA;").replace(";M;", ";NA;").replace(";L;", ";NA;")
    path = folder / "werk.csv"
    path.write_bytes("\r\n".join(lines).encode())
    return path
