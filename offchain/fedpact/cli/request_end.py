"""`fedpact request cancel` and `refund`: how a request ends early, and what comes back."""

import typer

from fedpact.cli import session
from fedpact.cli.options import RequestId


def cancel(context: typer.Context, request_id: RequestId) -> None:
    """Cancel a request. The round under way is the last, and its models are paid for.

    Example: fedpact --account bob request cancel 1
    """
    session.of(context).requester.cancel(request_id)
    typer.echo(f"cancelled request {request_id}")


def refund(context: typer.Context, request_id: RequestId) -> None:
    """Take back money that was not earned.

    That is what the providers did not earn, or the price of a purchase whose key did not arrive.

    A request of this account is settled: members are paid, and a delivered model is accepted.

    Example: fedpact --account bob request refund 1
    """
    back = session.of(context).requester.refund(request_id)
    typer.echo(f"refunded {back.text} from request {request_id}")
