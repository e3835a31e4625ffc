"""The operator and the registrar: a private chain that goes on, and who may take part."""
