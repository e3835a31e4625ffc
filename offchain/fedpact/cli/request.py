"""`fedpact request`: publish, follow, fetch, give, answer, report."""

import typer

from fedpact.cli import (
    request_create,
    request_end,
    request_follow,
    request_new,
    request_report,
    request_resale,
    request_results,
    request_terms,
)

app = typer.Typer(help="Request models, follow requests, use the results.", no_args_is_help=True)

app.command()(request_new.new)
app.command()(request_create.create)
app.command()(request_follow.follow)
app.command()(request_follow.status)
app.command()(request_terms.show)
app.command("list")(request_follow.list_)
app.command()(request_results.fetch)
app.command()(request_results.answer)
app.command()(request_results.export)
app.command()(request_report.report)
app.command()(request_results.give)
app.command()(request_resale.offers)
app.command()(request_resale.buy)
app.command("slice-keys")(request_terms.slice_keys)
app.command()(request_end.cancel)
app.command()(request_end.refund)
