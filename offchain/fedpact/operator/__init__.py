"""The operator and the registrar: a private chain that keeps running, and who may take part."""
