"""How many processor cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Return the cores that the process may run on, within its cgroup's quota (a container's ``--cpus``)."""
    return max(1, min([len(os.sched_getaffinity(0)), *_quotas()]))


def _quotas() -> list[int]:
    """Return the quota of every cgroup above this process, in cores, rounded up; version 2, then version 1."""
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        _, controllers, own = line.split(":", 2)
        root = _CGROUPS if not controllers else _CGROUPS / "cpu"
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Inside a container the path may be the host's, which is not mounted: the root is looked at in any case.
        folder = root / own.lstrip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(root):
                quotas += _quota(place)
    return quotas


def _quota(folder: Path) -> list[int]:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return [-(-int(quota) // int(period))] if int(quota) > 0 else []
    except (OSError, ValueError):  # no such file, or "max"
        return []
