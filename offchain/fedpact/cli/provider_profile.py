"""`fedpact provider profile`: the published profile by which searches find a provider."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedpact.cli import session
from fedpact.cli.options import PolicyFile, ServedData
from fedpact.cli.output import AsJson, print_facts

if TYPE_CHECKING:
    from fedpact.provider.local_profile import LocalProfile
    from fedpact.retrieval.profiles.document import Profile
    from fedpact.session import Session

app = typer.Typer(help="Build and publish the profile that searches find.", no_args_is_help=True)


@app.command()
def build(
    context: typer.Context,
    policy: PolicyFile,
    data: ServedData = None,
    of: Annotated[
        str | None,
        typer.Option(help="Name of the data set to describe, of those that the policy lists."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            help="Category of the data, such as texts/news; repeatable. Default: the policy's."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Name of a label; repeat for all labels. Adds a noised histogram."),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="The data's schema (TOML); by default DATA.schema.toml beside them."),
    ] = None,
    new_data: Annotated[
        bool,
        typer.Option(
            "--new-data", help="The data are new, although they look like data already charged."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build the profile. Its noised signature is charged to the ledger, once for the same data.

    Where the policy lists several data sets, the profile describes one of them (--of), and its
    categories are those of all. Nothing leaves this machine yet. The graph and the clusters of texts help to choose categories;
    they are not published.

    Example: fedpact --account alice provider profile build --data posts --policy policy.toml --category texts/news
    """  # noqa: E501
    from fedpact.data.declared import DeclaredData
    from fedpact.provider import profile
    from fedpact.provider.data_sets import categories_of, listed, one_of
    from fedpact.provider.files import ledger_file, profile_file
    from fedpact.provider.ledger.opening import introduce, open_ledger
    from fedpact.provider.policy import Policy

    at = session.of(context)
    every = listed(Policy.read(policy), data, schema)
    chosen = one_of(every, of)
    declared = DeclaredData.read(chosen.path, chosen.schema)
    path = ledger_file(at.settings.state, at.keys.address)
    with open_ledger(path, at.keys) as ledger:
        introduce(ledger, declared, chosen.name, new_data=new_data)
        found = profile.profile_data(declared)
        named = category or categories_of(every)
        built = profile.build(found, named, chosen.policy, ledger, label or ())
    built.write(profile_file(at.settings.state, at.keys.address))
    print_facts(_local_facts(built), as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    policy: PolicyFile,
    attribute: Annotated[
        str | None,
        typer.Option(
            help="Show instead the proof of this attribute against the chain, even if hidden."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the built profile.

    Also shows the document that would be published.

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
    """Publish the profile.

    The document goes to the content store, its digest on chain.

    The endpoint is the setting `advertise` (or else `listen`), the price the policy's least pay per
    round. Publishing an unchanged profile again costs nothing.

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
            "note": None if done.gas is not None else "unchanged: already on chain",
        },
        as_json=as_json,
    )


def _local(at: "Session") -> "LocalProfile":
    from fedpact.provider.files import profile_file
    from fedpact.provider.local_profile import LocalProfile

    return LocalProfile.read(profile_file(at.settings.state, at.address()))


def _published(at: "Session", local: "LocalProfile", policy: Path) -> "Profile":
    from fedpact.provider import profile
    from fedpact.provider.policy import Policy

    terms = Policy.read(policy)
    one = profile.published(local, at.keys, at.settings.advertised, terms.min_pay_per_round)
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
