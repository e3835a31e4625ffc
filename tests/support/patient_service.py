"""The requester's service in this process, for tests that count on what one cycle does."""

from fedpact.requester.serve import RequesterDaemon


class PatientService(RequesterDaemon):
    """Waits for content as long as a busy machine takes for it."""

    FETCH_PATIENCE = 20.0
