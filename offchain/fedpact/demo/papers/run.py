"""`fedpact demo --paper`: one of the papers, whole."""

import logging
import time

from rich.console import Console

from fedpact.demo.network import running_network
from fedpact.demo.options import Paper, PaperOptions
from fedpact.demo.papers.lu import LuDemo
from fedpact.demo.papers.story import PaperStory
from fedpact.demo.papers.wang import WangDemo
from fedpact.demo.workspace import workspace


def run_paper(options: PaperOptions, console: Console) -> list[str]:
    """Tell the paper's story; what failed of it, empty if all held."""
    started, story = time.monotonic(), PaperStory(console)
    # The story says itself that everybody can read a request's first model.
    logging.getLogger("fedpact.requester.first_model").setLevel(logging.ERROR)
    with (
        workspace(options.keep, console) as folder,
        running_network(folder, options.store) as (network, registrar),
    ):
        given = (network, story, registrar, options)
        if options.paper is Paper.LU:
            LuDemo(*given).run()
        else:
            WangDemo(*given).run()
    seconds = time.monotonic() - started
    console.print(f"\n{len(story.audits)} audits, {seconds:.1f} s")
    if options.json is not None:
        options.json.write_text(story.to_json(seconds))
    return story.failures
