"""The alert rules and the dashboard, on a real Prometheus.

Where its two programs aren't installed, the folder holds no tests; ``.ci/run`` installs them.
"""

from __future__ import annotations

import shutil

from tests.e2e.conftest import ada, channel, discord, lm

HAS_PROGRAMS = all(shutil.which(name) for name in ("prometheus", "promtool"))
collect_ignore_glob = [] if HAS_PROGRAMS else ["test_*.py"]

__all__ = ["ada", "channel", "discord", "lm"]
