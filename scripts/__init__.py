"""Tools of the build; run one as `python -m scripts.NAME`."""
