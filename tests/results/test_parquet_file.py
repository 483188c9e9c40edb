from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.record import COLUMNS
from nsfw_caffe.system.extras import install_hint
from tests.records import RECORD, failed, scored
from tests.support import run


def test_columns_have_types_and_rows_come_in_groups(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    write_results(path, (scored(str(index)) if index else failed("0") for index in range(50_001)))
    file = pyarrow.parquet.ParquetFile(path)
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [50_000, 1]
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert tuple(types) == COLUMNS
    floats = dict.fromkeys(("score", "mtime", "every", "max_time", "seconds"), "double")
    counts = dict.fromkeys(("width", "height", "bytes", "frames"), "int64")
    assert types == dict.fromkeys(COLUMNS, "string") | floats | counts
    assert [field.name for field in file.schema_arrow if not field.nullable] == [
        "source", "engine", "precision", "decode", "frames", "model", "device", "jpeg", "blas", "version", "scored_at"
    ]  # fmt: skip
    table = file.read()
    assert table["score"].null_count == table["width"].null_count == 1
    assert [record.source for record in read_results(path)] == table["source"].to_pylist()


def test_other_columns_types_and_another_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    write_results(path, [RECORD, failed("\udcff")])
    table = pyarrow.parquet.read_table(path)
    # What pandas and polars write: whole numbers with gaps as floats, categories, large strings.
    for name, type_ in {"width": pyarrow.float64(), "error": pyarrow.large_string()}.items():
        table = table.set_column(COLUMNS.index(name), name, table[name].cast(type_))
    table = table.set_column(COLUMNS.index("engine"), "engine", table["engine"].dictionary_encode())
    table = table.append_column("mine", [[{"x": 1}, None]]).select(["mine", *reversed(COLUMNS)])
    pyarrow.parquet.write_table(table, path)
    assert list(read_results(path)) == [RECORD, failed("\udcff")]


def test_what_is_no_parquet_of_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    write_results(path, [RECORD, scored("b")])
    table = pyarrow.parquet.read_table(path)

    def refused(changed: pyarrow.Table) -> str:
        pyarrow.parquet.write_table(changed, path)
        with pytest.raises(ResultsError) as caught:
            list(read_results(path))
        return str(caught.value)

    def with_scores(scores: list[object]) -> pyarrow.Table:
        return table.set_column(1, "score", [scores])

    assert refused(table.drop_columns(["score"])) == f"{path}: no file of results: it has no column score"
    assert refused(table.append_column("score", [[1, 1]])).endswith("it has more than one column score: keep one")
    assert refused(with_scores([0.5, 1.5])) == f"{path}: row 2: score is 1.5: expected 0 to 1"
    assert refused(with_scores(["half", "half"])) == f"{path}: row 1: score is 'half': expected a number"
    assert refused(with_scores([{"value": 0.5}] * 2)).startswith(f"{path}: row 1: score is {{'value': 0.5}}")
    latin = pyarrow.array([b"a", b"\xff"]).view(pyarrow.string())
    assert "no Parquet file, or a damaged one" in refused(table.set_column(0, "source", latin))


def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    write_results(path, [scored(str(index)) for index in range(1000)])
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes(200) + whole[300:])
    with pytest.raises(ResultsError, match=r"results.parquet: no Parquet file, or a damaged one: "):
        list(read_results(path))


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "results.parquet"
    write_results(path, [RECORD])
    for call in ("check_path(path)", "write_results(path, [])", "list(read_results(path))"):
        child = run(
            "-c",
            "import sys; sys.modules['pyarrow'] = None\n"
            "from pathlib import Path; from nsfw_caffe.results.formats import check_path, read_results, write_results\n"
            "from nsfw_caffe.errors import ResultsError; path = Path(sys.argv[1])\n"
            "check_path(path.with_suffix('.csv'))\n"
            f"try: {call}\nexcept ResultsError as error: print(error)",
            path,
        )
        assert child.stdout == f"{path}: Parquet needs pyarrow: {install_hint('scan')}\n", child.stderr
    assert list(read_results(path)) == [RECORD]


def test_pyarrow_is_loaded_for_parquet_alone(tmp_path: Path) -> None:
    child = run(
        "-c",
        "import sys; from pathlib import Path\n"
        "from tests.records import RECORD; from tests.results.records import there_and_back\n"
        "for ending in ('.csv', '.jsonl', '.sqlite'): there_and_back(Path(sys.argv[1] + ending), [RECORD])\n"
        "print('pyarrow' in sys.modules)",
        tmp_path / "results",
    )
    assert child.stdout == "False\n", child.stderr
