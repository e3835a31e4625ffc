"""The Python API: what one account does in a deployment, as typed objects over the functions that
the commands call."""
