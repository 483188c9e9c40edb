"""Where the program begins: `python -m nsfw_caffe` and `nsfw-caffe`.

Most of a short command's time is spent on imports, and a signal may come then as well. So this module imports nothing
of weight before it has seen to that.
"""

# These are there already, or a part of Python itself; the others take their time.
import _thread
import os
import sys
import time

try:
    import signal

    from nsfw_caffe.cli import INTERRUPTED, STOPPED
except KeyboardInterrupt:
    os._exit(130)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_IMPORT = "<frozen importlib"
_A_MOMENT = 0.01  # seconds


def main() -> int:
    """Run the command line and return its exit status."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
            signal.signal(signal.SIGINT, _interrupt)
        command = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
        if command == "scan" and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _stop_scan)
        from nsfw_caffe.cli import main as cli
        from nsfw_caffe.preprocessing import decoder_warnings

        decoder_warnings.keep_apart()
        status = cli.main()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    if sys.platform != "win32" and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)  # of an interrupt that came too late
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):
            # What is left is Python's end, which has nothing to tell either.
            signal.signal(number, lambda *_: os._exit(status))
    return status


def _interrupt(number: int, frame: "FrameType | None") -> None:
    """Interrupt, but end at once where a module is being imported, for C modules make other errors of it.

    Nothing is half done then that would have to be put in order.
    """
    inner = frame
    while inner is not None:
        if inner.f_code.co_filename.startswith(_IMPORT):
            os._exit(INTERRUPTED)
        inner = inner.f_back
    interrupt(number, frame)


def interrupt(_number: int, frame: "FrameType | None") -> None:
    """Raise KeyboardInterrupt; in a `__del__` a moment later, since Python would print it there, and go on."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            _again_in_a_moment()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _again_in_a_moment() -> None:
    if sys.platform != "win32" and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, _A_MOMENT)
    else:
        _thread.start_new_thread(_interrupt_later, ())


def _interrupt_later() -> None:
    time.sleep(_A_MOMENT)
    _thread.interrupt_main()


def _stop_scan(*_: object) -> None:
    """End a scan that has not begun as one that has; `nsfw_caffe.cli.scan` takes over when it begins."""
    os._exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
