"""Names of devices on which local training may run."""

import re

PROCESSOR = "cpu"
DEVICE = re.compile(r"cpu|cuda(:\d{1,3})?|mps|auto")
"""Of the setting `device`; `auto` is a GPU if there is one."""
