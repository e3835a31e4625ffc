"""`fedpact request new`: a draft, proposed."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts, print_json, write_text
from fedpact.errors import InvalidInput

if TYPE_CHECKING:
    from fedpact.api.proposal import Proposal


def new(
    context: typer.Context,
    draft: Annotated[Path, typer.Argument(help="File to write (TOML).")],
    evaluation: Annotated[
        Path | None,
        typer.Option(help="Evaluation set, in a format listed in docs/own-data.md."),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="Schema of the data that you ask for: a provider's, or a draft by"
            " `fedpact data doctor`. Default: EVALUATION.schema.toml."
        ),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Privacy of each provider's unit over the whole request.")
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(min=1, help="Privacy units that each provider is expected to have."),
    ] = None,
    pay: Annotated[
        str | None,
        typer.Option(help="Payment, such as '0.5 ether'. Default: what was paid here before."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Column whose number is to be predicted (regression).")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="Column of labels in the evaluation set. Default: the schema's."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title. Default: the category.")] = None,
    family: Annotated[
        str | None, typer.Option(help="Default: the best of those that suit the data.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of training.")] = None,
    min_providers: Annotated[int | None, typer.Option(min=2, max=16)] = None,
    max_providers: Annotated[int | None, typer.Option(min=2, max=16)] = None,
    as_json: AsJson = False,
) -> None:
    """Propose a draft and estimate the model's quality.

    Publishes and pays nothing.

    Asks for whatever you leave out. Family, rounds, training and clipping follow from data and
    epsilon, windows from the chain's blocks, the pay from earlier requests. A request that cannot
    be expected to reach anything is refused, and no file is written.

    Example: fedpact --account bob request new draft.toml --evaluation held-out.csv --epsilon 2
    """
    from fedpact.api.proposal import propose
    from fedpact.requester.amount import parse_amount
    from fedpact.requester.draft_writing import as_toml
    from fedpact.requester.usual_terms import usual_pay
    from fedpact.types.currency import ETHER_CURRENCY
    from fedpact.types.schema import DataSchema, schema_file

    if draft.exists():
        raise InvalidInput(f"{draft} exists: choose another name, or delete it")
    examples = Path(_asked(evaluation, "--evaluation", "file of your evaluation set"))
    declared = schema or schema_file(examples)
    if not declared.is_file():
        raise InvalidInput(
            f"no schema {declared}: name one with --schema, or draft it with"
            f" `fedpact data doctor {shlex.quote(str(examples))}`"
        )
    known = DataSchema.read(declared)
    private = float(_asked(epsilon, "--epsilon", "epsilon of each provider's units", 2.0))
    expected = int(
        _asked(units, "--units", "privacy units that a provider is expected to have", known.units)
    )
    fields: dict[str, Any] = {
        "output": output,
        "title": title,
        "rounds": rounds,
        "min_providers": min_providers,
        "max_providers": max_providers,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    at = session.of(context)
    if pay is not None:
        parse_amount(pay)
    paid_before = usual_pay(at.client) if pay is None else None
    if pay is None and paid_before is None and not sys.stdin.isatty():
        raise InvalidInput("--pay is missing: no request was paid here yet that could tell the pay")
    found = propose(
        at.client,
        known,
        examples,
        private,
        usual=paid_before,
        units=expected,
        label=label,
        family=family,
        fields=given,
        on_try=_trying,
    )
    found.check()
    usual = None if found.pay is None else ETHER_CURRENCY.text(found.pay)
    text = str(_asked(pay or usual, "--pay", "payment, such as '0.5 ether'"))
    parse_amount(text)  # as it was typed
    write_text(draft, as_toml(found.draft.fields, draft, declared if known.is_table else None))
    column = label or (None if known.label_column == "label" else known.label_column)
    command = ["fedpact", "request", "create", str(draft), "--evaluation", str(examples)]
    command += ["--pay", text, *(["--label", column] if column and not output else [])]
    _say(draft, found, text, shlex.join(command), as_json=as_json)


def _trying(family: str) -> None:
    runs = ", whose network first runs on each example" if family.startswith("network-") else ""
    typer.echo(f"simulating requests on your evaluation set: {family}{runs}", err=True)


def _asked(value: Any, option: str, question: str, default: Any = None) -> Any:
    """A value that was given, else what the terminal answers, else the default."""
    if value is not None:
        return value
    if sys.stdin.isatty():
        return typer.prompt(question, default=default, err=True)
    if default is None:
        raise InvalidInput(f"{option} is missing: {question}")
    return default


def _needs(network: Any) -> dict[str, str]:
    from fedpact.features.networks.pinned import EFFICIENTNET_LITE0, MINILM

    for one in (EFFICIENTNET_LITE0, MINILM):
        if network == one.name:
            return {"needs": f"fedpact[{one.extra}] here, at the providers and at the auditors"}
    return {}


def _say(draft: Path, found: "Proposal", pay: str, command: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from fedpact.api.proposal import quality_text
    from fedpact.learning.families import privacy_statement

    spec, seen = found.draft.specification, found.expected
    if as_json:
        print_json(
            {
                "draft": str(draft),
                "family": spec.family.name,
                "form": found.form,
                "metric": str(spec.measure),
                "pay": pay,
                "expected": asdict(seen),
                "considered": {name: asdict(one) for name, one in found.considered.items()},
                "windows": spec.windows.model_dump(),
                "create": command,
            }
        )
        return
    facts = {
        "draft": draft,
        "family": found.form,
        "rounds": spec.rounds,
        "providers": (
            f"{spec.min_providers} to {spec.max_providers}"
            if spec.min_providers < spec.max_providers
            else spec.max_providers
        ),
        "privacy": privacy_statement(spec),
        **_needs(spec.family.parameters.get("network")),
        "pay": pay,
        f"expected {spec.measure}": (
            f"{quality_text(spec, seen.error)} (guessing {quality_text(spec, seen.first)},"
            f" without privacy {quality_text(spec, seen.without_privacy)})"
        ),
    }
    for name, other in found.considered.items():
        if name != found.form:
            facts[f"with {name}"] = quality_text(spec, other.error)
    print_facts(facts, as_json=False)
    typer.echo(
        f"An estimate: {seen.runs} simulated requests of {seen.providers} providers with"
        f" {seen.units} units each, drawn from one half of your evaluation set and tested on the"
        " other. Their data may differ from yours."
    )
    typer.echo(f"Next: {command}")
