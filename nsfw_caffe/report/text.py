"""A summary for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from nsfw_caffe.report.summary import BINS, EDGES, Summary
from nsfw_caffe.report.wording import duration, share, size
from nsfw_caffe.results.names import visible
from nsfw_caffe.results.record import SetUp

_BAR = 40
"""Characters of the histogram's longest bar."""


def to_text(summary: Summary, top: int = 10) -> str:
    """Write a summary as plain text, in lines that end with a newline, with at most `top` of the highest scores."""
    blocks = [_overview(summary)]
    if summary.scored:
        blocks += [_thresholds(summary), _histogram(summary)]
        blocks.append(
            _titled("highest scores", ((f"{row.score:.4f}", visible(row.source)) for row in summary.highest[:top]))
        )
        blocks.append(_titled("formats", ((f"{count:,}", visible(name)) for name, count in summary.formats)))
    if summary.failed:
        blocks.append(_titled("what failed", ((f"{count:,}", visible(text)) for text, count in summary.reasons)))
        failures = ((visible(row.source), visible(row.error or "")) for row in summary.failures)
        blocks.append(_titled("first failures", ((f"{source}:", error) for source, error in failures), align="<"))
    slowest = ((duration(row.seconds or 0), visible(row.source)) for row in summary.slowest)
    blocks.append(_titled("slowest", slowest))
    return "\n".join(block for block in blocks if block)


def _overview(summary: Summary) -> str:
    lines = [
        ("sources", f"{summary.rows:,}, {size(summary.bytes)}"),
        ("scored", f"{summary.scored:,}, of which {summary.repeated:,} with content seen before"),
        ("failed", f"{summary.failed:,}"),
    ]
    if summary.mean is not None:
        lines.append(("mean score", f"{summary.mean:.4f}"))
    if summary.first and summary.last:
        lines.append(("scored at", f"{visible(summary.first)} to {visible(summary.last)}"))
        lines.append(("worked for", f"{duration(summary.seconds)}, added up over workers"))
    lines += [("set-up", visible(describe_set_up(set_up))) for set_up in summary.set_ups]
    if summary.versions:
        lines.append(("version", visible(", ".join(summary.versions))))
    return "".join(f"{name:<12}{value}\n" for name, value in lines)


def describe_set_up(set_up: SetUp) -> str:
    """Write a set-up in a line, with the first eight digits of the model's SHA-256."""
    engine = f"{set_up.engine} on the GPU" if set_up.device == "gpu" else set_up.engine
    others = [value for value, usual in ((set_up.jpeg, "pillow"), (set_up.blas, "system")) if value != usual]
    return ", ".join(
        [
            engine,
            *others,
            set_up.precision,
            f"{set_up.decode} decoding",
            f"frames {set_up.frames}",
            f"model {set_up.model[:8]}",
        ]
    )


def _thresholds(summary: Summary) -> str:
    lines = [f"{'threshold':<12}{'at or above':>12}{'share':>10}\n"]
    for threshold, count in summary.reached:
        lines.append(f"{threshold:<12g}{count:>12,}{share(count, summary.scored):>10}\n")
    return "".join(lines)


def _histogram(summary: Summary) -> str:
    most = max(summary.histogram)
    width = len(f"{most:,}")
    lines = ["score\n"]
    for index in range(BINS):
        count = summary.histogram[index]
        # Whatever is there shows: one in a million is what a scan is after.
        bar = "#" * max(round(_BAR * count / most), 1 if count else 0)
        lines.append(f"{EDGES[index]:.2f} - {EDGES[index + 1]:.2f}  {count:>{width},}  {bar}".rstrip() + "\n")
    return "".join(lines)


def _titled(title: str, rows: Iterable[tuple[str, str]], align: str = ">") -> str:
    pairs = list(rows)
    if not pairs:
        return ""
    width = max(len(left) for left, _ in pairs) if align == ">" else 0
    return f"{title}\n" + "".join(f"  {left:{align}{width}}  {right}".rstrip() + "\n" for left, right in pairs)
