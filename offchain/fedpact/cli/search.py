"""Finding providers whose data are about something."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_rows, write_text


def search(
    context: typer.Context,
    category: Annotated[
        str, typer.Option(help="What the data are to be about; profiles without it are left out.")
    ] = "",
    terms: Annotated[
        list[str] | None, typer.Option(help="Words of the wanted data; may be repeated.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Texts like the wanted ones: a file or folder.")
    ] = None,
    want: Annotated[int, typer.Option(help="Providers to find at most.")] = 10,
    at: Annotated[
        str | None,
        typer.Option(help="Address of the daemon to ask. Default: from the newest profiles."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File for `fedpact request create --from-search`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Providers whose published profiles are most like what is asked for, checked on chain.

    The daemons that the search reaches see who asks, the category and the 32 heaviest words of the
    query, hashed, which whoever has a dictionary can guess.

    Example: fedpact --account bob search --category texts/news --terms 'hockey stadium' --output found.json
    """  # noqa: E501
    from fedpact.requester import search as searching

    session_ = session.of(context)
    texts = searching.texts_of(like) if like is not None else ()
    query = searching.query_of(terms or (), category, texts)
    searcher = searching.Searcher(session_.client, session_.store, session_.keys)
    found, record = searcher.search(query, category, want, at)
    if output is not None:
        write_text(output, record.encode().decode())
    rows = [searching.row(one) for one in found]
    if not as_json:
        rows = [
            {name: value for name, value in row.items() if name not in ("digest", "mode")}
            for row in rows
        ]
    print_rows(rows, as_json=as_json, empty="no providers found")
