"""`fedpact network`: trained networks that requests name by their CID."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedpact.cli import session
from fedpact.cli.output import AsJson, print_facts
from fedpact.errors import InvalidInput

app = typer.Typer(
    help="Try and keep networks that requests name by CID.",
    no_args_is_help=True,
)


@app.command()
def add(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            help="ONNX file, one image in, or one text's tokens and their mask, and one row out; "
            "or EfficientNet-Lite0's weights, *.safetensors."
        ),
    ],
    side: Annotated[
        int, typer.Option(min=32, max=320, help="Side of the images in pixels, with *.safetensors.")
    ] = 224,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="Vocabulary of a text network: BERT's word pieces (vocab.txt)."),
    ] = None,
    cased: Annotated[
        bool, typer.Option(help="With --vocabulary: keep capital letters and accents.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a network and store it.

    It is stored on this machine and in the content store.

    Prints the family's parameters for a request. Which files are refused: docs/families.md.

    Example: fedpact network add backbone.onnx
    """
    from fedpact.features.networks.named import keep
    from fedpact.features.networks.vocabulary import Vocabulary

    content = _content(path)
    if path.suffix == ".safetensors":
        from fedpact.features.networks.efficientnet import with_weights

        content = with_weights(content, side)
    if vocabulary is not None:
        content = Vocabulary.of_lines(_content(vocabulary), not cased).added_to(content)
    elif cased:
        raise InvalidInput("--cased is about a network of texts: give its --vocabulary too")
    form, digest = keep(content)
    cid = session.of(context).store.put(content)
    print_facts({"network": str(cid), "digest": digest, **asdict(form)}, as_json=as_json)


@app.command()
def fetch(
    context: typer.Context,
    cid: Annotated[str, typer.Argument(help="CID of the network.")],
    as_json: AsJson = False,
) -> None:
    """Fetch a network that a request names, check and store it.

    Requesters and auditors need it to compute predictions. A provider that lists the digest in the
    policy's `networks` may fetch it beforehand, so that its daemon need not.

    Example: fedpact network fetch bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
    """
    from fedpact.features.networks.allowed import MAX_BYTES
    from fedpact.features.networks.named import keep
    from fedpact.types.cid import Cid

    form, digest = keep(session.of(context).store.get(Cid.parse(cid), MAX_BYTES))
    print_facts({"network": cid, "digest": digest, **asdict(form)}, as_json=as_json)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"network {path}: {error.strerror}") from error
