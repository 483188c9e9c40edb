"""What Prometheus is told of the service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nsfw_caffe.service.jobs import Kind
from nsfw_caffe.service.pool import Pool
from nsfw_caffe.service.refusals import STATUS, Reason

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1)
_STAGES = ("body", "fetch", "queue", "score", "video")


class Metrics:
    """One application's own metrics, in a registry of their own.

    Parameters
    ----------
    pool : Pool
        What is asked how many wait and work.
    """

    def __init__(self, pool: Pool) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nsfw_caffe_requests",
            "Requests, by route and status; 499 where the client did not wait for the answer.",
            ["route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "nsfw_caffe_seconds",
            "How long the stages of a picture or video took.",
            ["stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._scores: dict[Kind, Histogram] = {
            "picture": self._histogram("nsfw_caffe_score", "The scores of pictures."),
            "video": self._histogram("nsfw_caffe_video_score", "The highest scores of videos."),
        }
        self._refusals = Counter(
            "nsfw_caffe_refusals",
            "Requests and pictures that were answered with an error, by its reason.",
            ["reason"],
            registry=self._registry,
        )
        # All are there from the start: a rate needs the zero before the one.
        for stage in _STAGES:
            self._seconds.labels(stage)
        for reason in STATUS:
            self._refusals.labels(reason)
        self._registry.register(_OfThePool(pool))
        ProcessCollector(registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SCORES, registry=self._registry)

    def count_request(self, route: str, status: int) -> None:
        """Count a request that has its answer."""
        self._requests.labels(route, status).inc()

    def count_refusal(self, reason: Reason) -> None:
        """Count a request, or a picture of one, that has an error for an answer."""
        self._refusals.labels(reason).inc()

    def count_score(self, kind: Kind, score: float, seconds: Mapping[str, float]) -> None:
        """Count a picture's score, or a video's highest one, and how long the stages took."""
        self._scores[kind].observe(score)
        for stage, value in seconds.items():
            self.count_seconds(stage, value)

    def count_seconds(self, stage: str, seconds: float) -> None:
        """Count how long a stage took."""
        self._seconds.labels(stage).observe(seconds)

    def to_text(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self._registry)


class _OfThePool(Collector):
    """What the pool is asked when the metrics are."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("nsfw_caffe_waiting", "Pictures and videos that wait for a worker.", self._pool.waiting)
        yield GaugeMetricFamily("nsfw_caffe_busy", "Workers that are at work on a picture or video.", self._pool.busy)
        yield GaugeMetricFamily("nsfw_caffe_workers", "Workers that can score.", self._pool.able)
        text = "Workers that took too long or died, and were replaced."
        yield CounterMetricFamily("nsfw_caffe_workers_replaced", text, self._pool.replaced)
