from __future__ import annotations

import os
from pathlib import Path

import pytest

from nsfw_caffe.system import proc, processes
from tests.support import run


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the module at a tree of cgroups of the test's own, on a machine of eight cores."""
    monkeypatch.setattr(processes, "_CGROUPS", tmp_path)
    monkeypatch.setattr(proc, "ROOT", tmp_path / "proc")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def put(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content + "\n")


def own(root: Path, lines: str) -> None:
    """Say which cgroups this process is in."""
    put(root / "proc" / "self", cgroup=lines)


def test_without_cgroups(cgroups: Path) -> None:  # noqa: ARG001
    assert processes.available_cores() == 8


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)]
)
def test_version_2(quota: str, expected: int, cgroups: Path) -> None:
    own(cgroups, "0::/a/b")
    put(cgroups / "a" / "b", cpu__max=quota)
    assert processes.available_cores() == expected


def test_the_tightest_quota_above_counts(cgroups: Path) -> None:
    own(cgroups, "0::/a/b")
    put(cgroups / "a" / "b", cpu__max="500000 100000")
    put(cgroups / "a", cpu__max="300000 100000")
    assert processes.available_cores() == 3


def test_a_container_sees_its_own_root(cgroups: Path) -> None:
    put(cgroups, cpu__max="400000 100000")
    own(cgroups, "0::/of/the/host")
    assert processes.available_cores() == 4


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("250000", 3)])
def test_version_1(quota: str, expected: int, cgroups: Path) -> None:
    own(cgroups, "3:memory:/a\n2:cpu,cpuacct:/a\n1:name=systemd:/")
    put(cgroups / "cpu" / "a", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert processes.available_cores() == expected


@pytest.fixture
def memory(cgroups: Path) -> Path:
    """Give the machine 8,000 KiB that programs could have."""
    put(cgroups / "proc", meminfo="MemTotal: 9000 kB\nMemAvailable: 8000 kB")
    return cgroups


def test_memory_without_cgroups(memory: Path) -> None:  # noqa: ARG001
    assert processes.available_memory() == 8000 << 10


@pytest.mark.parametrize(
    ("most", "expected"), [("max", 8000 << 10), (str(1 << 40), 8000 << 10), ("5000000", 3_200_000), ("1000000", 0)]
)
def test_memory_of_version_2(most: str, expected: int, memory: Path) -> None:
    own(memory, "0::/a/b")
    put(memory / "a", memory__max=most, memory__current="2000000", memory__stat="anon 1800000\ninactive_file 200000")
    assert processes.available_memory() == expected


def test_memory_of_version_1(memory: Path) -> None:
    own(memory, "3:memory:/a\n1:name=systemd:/")
    put(memory / "memory" / "a", memory__limit_in_bytes="5000000", memory__usage_in_bytes="2000000")
    put(memory / "memory" / "a", memory__stat="inactive_file 1\ntotal_inactive_file 200000")
    assert processes.available_memory() == 3_200_000


def test_affinity_counts() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {0})\n"
        "from nsfw_caffe.system import processes; print(processes.available_cores())"
    )
    assert run("-c", code).stdout == "1\n"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, "ended with status 0"),
        (3, "ended with status 3"),
        (-11, "was killed by SIGSEGV"),
        (-9, "was killed by SIGKILL (out of memory?)"),
    ],
)
def test_how_a_child_ended(status: int, expected: str) -> None:
    assert processes.describe_end(status) == expected


def test_all_threads_keep_to_the_cores() -> None:
    code = (
        "import os, threading; from nsfw_caffe.system.processes import keep_to_cores\n"
        "wait = threading.Event()\n"
        "other = threading.Thread(target=wait.wait); other.start()\n"
        "core = max(os.sched_getaffinity(0)); keep_to_cores([core])\n"
        "print([os.sched_getaffinity(int(thread)) for thread in os.listdir('/proc/self/task')] == [{core}] * 2)\n"
        "wait.set()"
    )
    assert run("-c", code).stdout == "True\n"


def test_a_parent_that_has_died_is_noticed() -> None:
    code = (
        "import os; from nsfw_caffe.system.processes import die_with_parent\n"
        "print(die_with_parent(os.getppid()), die_with_parent(1 << 22))"
    )
    assert run("-c", code).stdout == "True False\n"
