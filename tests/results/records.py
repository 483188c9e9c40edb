"""What the tests of results share."""

from __future__ import annotations

from pathlib import Path

from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.record import Record

ENDINGS = (".csv", ".jsonl", ".parquet", ".sqlite")


def names(folder: Path) -> list[str]:
    """The names of everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


def there_and_back(path: Path, records: list[Record]) -> list[Record]:
    """Write the records, and read what was written."""
    write_results(path, records)
    return list(read_results(path))
