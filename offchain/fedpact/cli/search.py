"""`fedpact search`: find providers by what their data is about."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_rows, write_text
from fedpact.types.distance import Distance


def search(
    context: typer.Context,
    category: Annotated[
        str,
        typer.Option(help="Category of the data, such as texts/news; other profiles are left out."),
    ] = "",
    terms: Annotated[
        list[str] | None, typer.Option(help="Words to search for; repeatable.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="File or folder with texts like the wanted ones.")
    ] = None,
    want: Annotated[int, typer.Option(help="Highest number of providers to find.")] = 10,
    at: Annotated[
        str | None,
        typer.Option(help="URL of the daemon to ask. Default: from the newest profiles."),
    ] = None,
    distance: Annotated[
        Distance,
        typer.Option(
            help="How to rank: by likeness of data alone (jaccard), or by Lu et al.'s equation 1"
            " with the round trip to each daemon (paper)."
        ),
    ] = Distance.JACCARD,
    flood: Annotated[
        bool,
        typer.Option(
            "--flood",
            help="Let every daemon that is reached pass the query on, as in Lu et al., instead of"
            " one that leads the search. Takes many more messages.",
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Output file, for `fedpact request create --from-search`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the providers whose profiles match best.

    The published profiles are checked against the chain.

    The daemons that the search reaches see your account, the category and hashes of the query's 32
    heaviest words. Anyone with a dictionary can guess the words. With --distance paper all daemons
    that are found see this machine's address.

    Example: fedpact --account bob search --category texts/news --terms 'hockey stadium' --output found.json
    """  # noqa: E501
    from fedpact.requester import provider_search as searching

    session_ = session.of(context)
    texts = searching.texts_of(like) if like is not None else ()
    query = searching.query_of(terms or (), category, texts)
    searcher = searching.Searcher(session_.client, session_.store, session_.keys)
    found, record = searcher.search(query, category, want, at, distance, flood)
    if output is not None:
        write_text(output, record.encode().decode())
    rows = [searching.row(one) for one in found]
    if not as_json:
        rows = [
            {name: value for name, value in row.items() if name not in ("digest", "mode")}
            for row in rows
        ]
    print_rows(rows, as_json=as_json, empty="no providers found")
