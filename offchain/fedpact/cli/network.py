"""`fedpact network`: trained networks that requests name by their CID."""

from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts
from fedpact.errors import InvalidInput

app = typer.Typer(
    help="Try and keep trained networks (ONNX) that requests name by their CID.",
    no_args_is_help=True,
)


@app.command()
def add(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            help="ONNX file, one image in, one row out; or EfficientNet-Lite0's weights, "
            "*.safetensors."
        ),
    ],
    side: Annotated[
        int, typer.Option(min=32, max=320, help="Pixels of the images, with *.safetensors.")
    ] = 224,
    as_json: AsJson = False,
) -> None:
    """Try a network, keep it on this machine, and put it into the content store.

    Prints the family's parameters for a request. Which files are refused: docs/families.md.

    Example: fedpact network add backbone.onnx
    """
    from fedpact.features.networks.named import keep

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"network {path}: {error.strerror}") from error
    if path.suffix == ".safetensors":
        from fedpact.features.networks.efficientnet import with_weights

        content = with_weights(content, side)
    form, digest = keep(content)
    cid = session.of(context).store.put(content)
    facts = {"network": str(cid), "digest": digest, "side": form.side, "width": form.width}
    print_facts(facts, as_json=as_json)


@app.command()
def fetch(
    context: typer.Context,
    cid: Annotated[str, typer.Argument(help="As in the request.")],
    as_json: AsJson = False,
) -> None:
    """Fetch a network that a request names, try it, and keep it on this machine.

    Requesters and auditors need it to compute predictions. A provider that lists the digest in the
    policy's `networks` may fetch it beforehand, so that its daemon need not.

    Example: fedpact network fetch bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
    """
    from fedpact.features.networks.allowed import MAX_BYTES
    from fedpact.features.networks.named import keep
    from fedpact.types.cid import Cid

    form, digest = keep(session.of(context).store.get(Cid.parse(cid), MAX_BYTES))
    facts = {"network": cid, "digest": digest, "side": form.side, "width": form.width}
    print_facts(facts, as_json=as_json)
