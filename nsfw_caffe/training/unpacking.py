"""Pictures out of archives whose members can only be read one after the other, which training cannot do."""

from __future__ import annotations

from pathlib import Path

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.sources.item import read
from nsfw_caffe.sources.reopening import split_member
from nsfw_caffe.system.files import write_file
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.data import Dataset
from nsfw_caffe.training.features import Reading, wanted_items

_IN_ANY_ORDER = (".zip", ".tar")


def unpack(dataset: Dataset, reading: Reading, folder: Path) -> list[str]:
    """Give where each picture can be read; members of compressed tar and of WARC files are copied into a folder."""
    places = {picture.source: folder / picture.sha256 for picture in dataset.pictures if _in_order(picture.source)}
    missing = {source for source, path in places.items() if not path.exists()}
    for item in wanted_items(reading.sources, missing) if missing else ():
        content = read(item, reading.options.limits)
        if content.data is None or content.sha256 != places[item.source].name:
            raise TrainingError(f"{item.source}: {content.error or 'it has changed since it was read first'}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_file(places[item.source], content.data)
        except OSError as error:
            raise TrainingError(f"{folder} cannot be written ({reason(error)}); --resume goes on") from error
    return [str(places.get(picture.source, picture.source)) for picture in dataset.pictures]


def _in_order(source: str) -> bool:
    parts = split_member(source)
    return parts is not None and not parts[0].lower().endswith(_IN_ANY_ORDER)
