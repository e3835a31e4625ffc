"""Write a fetched model with what its holder needs to use it: description, decisions, card."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fedpact.data.dataset import Dataset
from fedpact.learning.artefact import encode
from fedpact.requester import model_file
from fedpact.requester.card.card import make_card
from fedpact.requester.card.markdown import markdown
from fedpact.requester.card.provenance import Provenance
from fedpact.requester.card.quality import Quality, measure
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.slices import all_slices
from fedpact.requester.thresholds import Decisions, fitted

if TYPE_CHECKING:
    from fedpact.learning.artefact import Model


def keep(
    fetched: FetchedModel, model: Model, slices: list[Dataset] | None, provenance: Provenance
) -> FetchedModel:
    """Fit decisions to the slices, measure the model on them, and write all files beside it.

    `slices`: the requester's, in order; None for a bought model, or where one is lost. Of a family
    without predictions the members' figure is all there is.
    """
    from fedpact.learning.families import family_of

    decisions = quality = None
    if slices is not None and family_of(fetched.specification).predicts:
        decisions, quality = measured(fetched, model, slices)
    kept = replace(fetched, decisions=decisions)
    model_file.write(kept.path, encode(model), kept.facts())
    card = make_card(kept, provenance, quality)
    model_file.write_card(kept.path, markdown(card), card.facts())
    return kept


def measured(
    fetched: FetchedModel, model: Model, slices: list[Dataset]
) -> tuple[Decisions | None, Quality]:
    """Decisions fitted to the slices, and how good the model is with them."""
    spec = fetched.specification
    decisions = fitted(spec, model, all_slices(slices))
    return decisions, measure(spec, model, slices, fetched.round, decisions)
