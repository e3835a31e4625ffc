"""A provider's profile: by what others find its data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts

if TYPE_CHECKING:
    from fedpact.provider.profile import LocalProfile
    from fedpact.retrieval.profiles.document import Profile
    from fedpact.session import Session

app = typer.Typer(help="What the data are about, for others to find them by.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Option(help="The policy that the daemon serves by (TOML).")]


@app.command()
def build(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="Own data: a file or folder as in docs/data.md.")],
    policy: PolicyFile,
    category: Annotated[
        list[str] | None,
        typer.Option(help="What the data are about; may be repeated. Default: the policy's."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Name of a label, all of them in turn: shows a noised histogram."),
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of labels in a table.")] = None,
    output_column: Annotated[
        str | None, typer.Option(help="Column of a regression's values in a table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the profile. The noised signature is charged to the ledger, once for the same data.

    Nothing leaves this machine yet. Graph and clusters of texts are shown, to choose categories
    by, and are not published.

    Example: fedpact --account alice provider profile build --data posts --policy policy.toml --category texts/news
    """  # noqa: E501
    from fedpact.privacy.ledger import Ledger
    from fedpact.provider import profile
    from fedpact.provider.files import ledger_file, profile_file
    from fedpact.provider.policy import Policy

    at = session.of(context)
    terms = Policy.read(policy)
    found = profile.read_data(data, label_column, output_column)
    path = ledger_file(at.settings.state, at.keys.address)
    with Ledger(path, at.keys.derive("privacy-ledger")) as ledger:
        built = profile.build(found, category or terms.categories, terms, ledger, label or ())
    built.write(profile_file(at.settings.state, at.keys.address))
    print_facts(_local_facts(built), as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    policy: PolicyFile,
    attribute: Annotated[
        str | None,
        typer.Option(help="Instead: all that proves this attribute on chain, hidden ones too."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The profile as it was built, and the document that would be published of it.

    Example: fedpact --account alice provider profile show --policy policy.toml --attribute labels
    """
    from fedpact.provider import profile

    at = session.of(context)
    local = _local(at)
    if attribute is not None:
        print_facts(profile.disclosed(local, at.keys, attribute), as_json=as_json)
        return
    one = _published(at, local, policy)
    print_facts({**_local_facts(local), **_published_facts(one)}, as_json=as_json)


@app.command()
def publish(context: typer.Context, policy: PolicyFile, as_json: AsJson = False) -> None:
    """Put the profile into the content store and its digest on chain.

    The endpoint is the settings' `advertise` (else `listen`), the price the policy's least pay a
    round. Published again unchanged, it costs nothing.

    Example: fedpact --account alice provider profile publish --policy policy.toml
    """
    from fedpact.provider import profile

    at = session.of(context)
    one = _published(at, _local(at), policy)
    done = profile.publish(at.client, at.store, at.keys, one)
    print_facts(
        {
            "cid": str(done.cid),
            "attributes_root": done.attributes_root.hex(),
            "endpoint": one.details.endpoint or None,
            "gas": done.gas,
            "note": None if done.gas is not None else "the chain had it already",
        },
        as_json=as_json,
    )


def _local(at: "Session") -> "LocalProfile":
    from fedpact.provider.files import profile_file
    from fedpact.provider.profile import LocalProfile

    return LocalProfile.read(profile_file(at.settings.state, at.address()))


def _published(at: "Session", local: "LocalProfile", policy: Path) -> "Profile":
    from fedpact.provider import profile
    from fedpact.provider.policy import Policy

    terms = Policy.read(policy)
    one = profile.published(local, at.keys, at.settings.advertised, terms.least_pay_per_round)
    profile.refuse_unless_sound(one.details, terms)
    return one


def _local_facts(local: "LocalProfile") -> dict[str, Any]:
    release = local.release
    return {
        "type": local.type,
        "task": local.task,
        "categories": list(local.categories),
        "size": local.size,
        "schema": local.data_schema,
        "mode": local.mode.value,
        "epsilon": None if release is None else release.epsilon,
        "delta": None if release is None else release.delta,
        "noise_multiplier": None if release is None else release.noise_multiplier,
        "graph": [name for name, _ in local.graph],
        "clusters": [f"{one.documents}: {' '.join(one.terms)}" for one in local.clusters],
        "silhouette": local.silhouette,
    }


def _published_facts(one: "Profile") -> dict[str, Any]:
    return {
        "signature_entries": len(one.record.signature.buckets),
        "document_bytes": len(one.record.document),
        "digest": one.record.digest.hex(),
        "attributes_root": one.details.tree.root.hex(),
        "endpoint": one.details.endpoint or None,
        "price_wei": int(one.details.price),
    }
