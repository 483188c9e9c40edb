"""Cores and memory that this process may use; the library's modules as programs of their own, and how they end."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from nsfw_caffe.system import proc

_CGROUPS = Path("/sys/fs/cgroup")

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def own_cores() -> list[int]:
    """Return the numbers of the cores that the process may run on; where the system does not tell, of all there are."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_cores() -> int:
    """Return the cores that the process may run on, within its cgroup's quota (a container's ``--cpus``)."""
    quotas = [quota for folder in _cgroups("cpu") for quota in _quota(folder)]
    return max(1, min([len(own_cores()), *quotas]))


def _cgroups(controller: str) -> list[Path]:
    """Return the folders of every cgroup above this process that may limit something; version 2, then version 1."""
    folders = []
    for line in proc.lines("self/cgroup"):
        _, controllers, own = line.split(":", 2)
        root = _CGROUPS if not controllers else _CGROUPS / controller
        if controllers and controller not in controllers.split(","):
            continue
        # Inside a container the path may be the host's, which is not mounted: the root is looked at in any case.
        folder = root / own.lstrip("/")
        folders += [place for place in (folder, *folder.parents) if place.is_relative_to(root)]
    return folders


def _quota(folder: Path) -> list[int]:
    """Return a cgroup's quota in cores, rounded up, if it has one."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return [-(-int(quota) // int(period))] if int(quota) > 0 else []
    except (OSError, ValueError):  # no such file, or "max"
        return []


def own_memory(field: Literal["VmRSS", "VmHWM"]) -> int:
    """Return the bytes of memory that this process has now (VmRSS), or has had at most (VmHWM)."""
    return _kilobytes("self/status", field)


def available_memory() -> int:
    """Return the bytes that programs could have without swapping, within the cgroup (a container's ``--memory``)."""
    rooms = [room for folder in _cgroups("memory") for room in _room(folder)]
    return max(0, min([_kilobytes("meminfo", "MemAvailable"), *rooms]))


def _room(folder: Path) -> list[int]:
    """Return how far a cgroup is below its limit, if it has one; files that are cached and not in use give way."""
    version_2 = (folder / "memory.max").exists()
    names = ("max", "current") if version_2 else ("limit_in_bytes", "usage_in_bytes")
    try:
        most, used = (int((folder / f"memory.{name}").read_text()) for name in names)
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        cached = int(statistics["inactive_file" if version_2 else "total_inactive_file"])
    except (OSError, ValueError, KeyError):  # no such file, or "max"
        return []
    return [most - used + cached]


def _kilobytes(name: str, field: str) -> int:
    return next(int(line.split()[1]) << 10 for line in proc.lines(name) if line.startswith(f"{field}:"))


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs `python -m nsfw_caffe.MODULE` with this interpreter."""
    return [sys.executable, "-m", f"nsfw_caffe.{module}", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment in which a child imports what this process can, and nothing from its working folder."""
    path = os.pathsep.join(entry or str(os.getcwd()) for entry in sys.path)  # noqa: PTH109 - as import does it
    return os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"} | variables


def die_with_parent(parent: int) -> bool:
    """Have this process killed when its parent dies; False where that has died already, which nobody would tell."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.Signals["SIGKILL"], 0, 0, 0)
    return os.getppid() == parent


def leave_no_core() -> None:
    """Have no file written of this process's memory, in which there are pictures, when it crashes."""
    if sys.platform != "win32":  # which writes none
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_to_cores(cores: Iterable[int]) -> None:
    """Have all threads that this process has run on these cores alone, where the system can do that."""
    allowed = set(cores)
    if hasattr(os, "sched_setaffinity"):
        for thread in (proc.ROOT / "self" / "task").iterdir():
            os.sched_setaffinity(int(thread.name), allowed)


def was_killed(status: int) -> bool:
    """Tell whether a child's end was SIGKILL, which nobody but the system sends unasked: there was no more memory."""
    return status < 0 and signal.Signals(-status).name == "SIGKILL"


def describe_end(status: int) -> str:
    """Say how a child came to its end, after "it": by `subprocess`'s status, which is negative for a signal."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}" + (" (out of memory?)" if was_killed(status) else "")
