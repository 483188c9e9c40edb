"""What the service is asked to be, besides how it scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """What whoever starts the service may set; each is an option of `nsfw-caffe serve`.

    Attributes
    ----------
    host : str
        The address that it listens on.
    port : int
        The port; 0 for any that is free.
    workers : int
        Processes that score, each with the network in memory, one picture or video at a time.
    queue : int
        Pictures that may wait for a worker; further requests are answered with status 503 at once.
    seconds : float
        How long a worker may take for a picture before it is killed and replaced.
    video_frames : int
        Frames that are looked at of a video, at most.
    video_seconds : float
        How long a worker may take for a video before it is killed and replaced.
    body_seconds : float
        How long a request's body may take to arrive.
    body_bytes : int
        The size of a request's body, at most.
    items : int
        Pictures in a request for many, at most.
    allow_url : bool
        Whether pictures and videos may be named by their URLs, which the service then fetches.
    allow_hosts : tuple of str
        The hosts that may be fetched from; all public ones where it is empty.
    fetch_seconds : float
        How long a fetch may take, redirects included.
    api_key_file : Path or None
        A file of keys, one a line, one of which a request has to carry.
    drain_seconds : float
        How long what is under way may take at the end.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    queue: int = 32
    seconds: float = 10.0
    video_frames: int = 100
    video_seconds: float = 30.0
    body_seconds: float = 10.0
    body_bytes: int = 20 << 20
    items: int = 100
    allow_url: bool = False
    allow_hosts: tuple[str, ...] = ()
    fetch_seconds: float = 10.0
    api_key_file: Path | None = None
    drain_seconds: float = 30.0
