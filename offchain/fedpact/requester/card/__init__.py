"""The model card beside a fetched model: what it is, how good, how private, and where it came from.

quality     what the requester's own evaluation slices say of a model; pure
provenance  what the chain says
card        the card as facts (JSON), pure; `markdown` writes it for people and Hugging Face
"""
