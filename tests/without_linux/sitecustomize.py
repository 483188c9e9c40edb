"""Takes from the library's modules what macOS or Windows lack, in every Python that has this folder in PYTHONPATH.

The standard library and other packages keep all of it, since theirs know how to do without. What is the same on every
system but works otherwise there is put in the place of what is here: Windows opens no folder, and neither removes nor
replaces a file that is open.
"""

import builtins
import errno
import os
import pathlib
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

ABSENT = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
"""Modules."""

LACKING = {
    "os": """
        O_CLOEXEC O_DIRECTORY O_DSYNC O_NDELAY O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE
        MFD_ALLOW_SEALING MFD_CLOEXEC WNOHANG EX_OK SCHED_OTHER
        chown chroot confstr copy_file_range ctermid eventfd fchdir fchown fdatasync fork forkpty fpathconf fstatvfs
        getegid geteuid getgid getgrouplist getgroups getloadavg getpgid getpgrp getpriority getresuid getsid getuid
        getxattr initgroups killpg lchown listxattr lockf major makedev memfd_create minor mkfifo mknod nice openpty
        pathconf pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn pread preadv pwrite pwritev readv
        register_at_fork removexattr sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid
        setgroups setpgid setpriority setresuid setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp tcsetpgrp
        ttyname uname unshare wait wait3 wait4 waitid writev
    """,
    "signal": """
        SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU
        SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ ITIMER_PROF ITIMER_REAL ITIMER_VIRTUAL alarm
        getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait
    """,
    "socket": "AF_NETLINK AF_PACKET AF_UNIX SCM_RIGHTS SO_PEERCRED SO_REUSEPORT TCP_INFO recv_fds send_fds",
    "mmap": "MADV_DONTNEED MADV_FREE MAP_ANON MAP_ANONYMOUS MAP_PRIVATE MAP_SHARED PROT_READ PROT_WRITE",
    "select": "epoll poll",
    "time": "clock_gettime pthread_getcpuclockid tzset",
}

_import = builtins.__import__


class _Lacking(types.ModuleType):
    """A module without some of its names; what is set in it is set in the real one."""

    def __init__(self, real: types.ModuleType, names: set[str], others: dict[str, object]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _names=names, **others)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_names"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} (taken away)")
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["_real"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_real"], name)


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
    if dir_fd is not None:
        raise NotImplementedError("dir_fd unavailable on this platform")
    if os.path.isdir(path):  # noqa: PTH112 - as the system sees it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return os.open(path, flags, mode)


def _link(source: Any, target: Any, **options: bool) -> None:
    if options:
        raise NotImplementedError("follow_symlinks unavailable on this platform")
    os.link(source, target, follow_symlinks=False)


_OTHERS: dict[str, dict[str, object]] = {
    "os": {"open": _open, "link": _link, "supports_dir_fd": set(), "supports_follow_symlinks": {os.stat}}
}

_lacking: dict[str, types.ModuleType] = {}
_NO_PROC = pathlib.Path("/no/proc")  # made here: from Python 3.13 on, it imports something


def _of_the_library(importing: Any) -> bool:
    return ((importing or {}).get("__package__") or "").partition(".")[0] == "nsfw_caffe"


def _import_without(
    name: str,
    globals: Any = None,  # noqa: A002 - some name them
    locals: Any = None,  # noqa: A002
    fromlist: Any = (),
    level: int = 0,
) -> Any:
    if level == 0 and _of_the_library(globals):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r} (taken away)", name=name)
        if name in LACKING:
            if name not in _lacking:
                real = _import(name)
                _lacking[name] = _Lacking(real, set(LACKING[name].split()), _OTHERS.get(name, {}))
            return _lacking[name]
    found = _import(name, globals, locals, fromlist, level)
    _hide_proc()
    return found


def _hide_proc() -> None:
    proc = sys.modules.get("nsfw_caffe.system.proc")
    if proc is not None and str(getattr(proc, "ROOT", "")) == "/proc":
        proc.ROOT = _NO_PROC  # type: ignore[attr-defined]


def _is_open(path: pathlib.Path) -> bool:
    """Tell whether this process has a file open; a lock's is filelock's to delete."""
    try:
        wanted = path.lstat()
    except OSError:
        return False
    for descriptor in pathlib.Path("/proc/self/fd").iterdir():
        try:
            if os.path.samestat(os.fstat(int(descriptor.name)), wanted):
                return path.suffix != ".lock"
        except OSError:  # the descriptor of the list itself
            continue
    return False


def _unless_open(change: Callable[..., Any]) -> Callable[..., Any]:
    def changed(path: pathlib.Path, *arguments: Any, **options: Any) -> Any:
        files = [path, *(pathlib.Path(other) for other in arguments if isinstance(other, (str, os.PathLike)))]
        if _of_the_library(sys._getframe(1).f_globals) and any(map(_is_open, files)):
            raise PermissionError(errno.EACCES, "it is open, and so neither removed nor replaced", str(path))
        return change(path, *arguments, **options)

    return changed


class _NoCaffe:
    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "caffe":
            raise ModuleNotFoundError("No module named 'caffe' (taken away)", name=name)


builtins.__import__ = _import_without
for _name in ("rename", "replace", "unlink"):
    setattr(pathlib.Path, _name, _unless_open(getattr(pathlib.Path, _name)))
sys.meta_path.insert(0, _NoCaffe)
warnings.filterwarnings("ignore", category=EncodingWarning)
warnings.filterwarnings("error", category=EncodingWarning, module="nsfw_caffe")  # what a locale's encoding is, differs
