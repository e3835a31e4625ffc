"""The audit: what happened to a request, recomputed from chain and content store alone."""

from fedpact.audit.audit import audit
from fedpact.audit.report import AuditItem, AuditReport, Verdict

__all__ = ["AuditItem", "AuditReport", "Verdict", "audit"]
