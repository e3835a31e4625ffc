"""What a paper's demo tells: each step with the place of the paper that it shows."""

import json
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from fedpact.audit import AuditReport, Verdict


@dataclass
class PaperStory:
    """Prints steps and keeps them."""

    console: Console
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Place in the paper, and what happened."""
    audits: list[AuditReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Expectations that failed."""
    figures: dict[str, Any] = field(default_factory=dict)

    def title(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}")

    def step(self, place: str, text: str) -> None:
        """`place`: section, equation, algorithm or table of the paper."""
        self.steps.append((place, text))
        line = Table.grid(padding=(0, 2))
        line.add_column(style="cyan", min_width=20, max_width=20)
        line.add_column()
        line.add_row(f"\\[{place}]", text)
        self.console.print(line)

    def show(self, what: RenderableType) -> None:
        self.console.print(what)

    def expect(self, holds: bool, what: str) -> None:
        """Note what failed, and go on."""
        if not holds:
            self.failures.append(what)

    def audited(self, report: AuditReport) -> None:
        """Take an audit into account; its failures fail the demo."""
        self.audits.append(report)
        self.failures += [
            f"audit of request {report.request_id}: {item.name}: {item.detail}"
            for item in report.items
            if item.verdict is not Verdict.HOLDS
        ]

    def to_json(self, seconds: float) -> str:
        document = {
            "steps": [{"place": place, "text": text} for place, text in self.steps],
            "audits": [
                {
                    "request": one.request_id,
                    "items": {item.name: item.verdict is Verdict.HOLDS for item in one.items},
                }
                for one in self.audits
            ],
            "failures": self.failures,
            "seconds": round(seconds, 1),
            **self.figures,
        }
        return json.dumps(document, indent=2) + "\n"


def table(title: str, *headings: str) -> Table:
    """With a title on the left; columns of words first, of numbers on the right."""
    made = Table(title=title, title_justify="left")
    for heading in headings:
        made.add_column(heading)
    return made


def short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"
