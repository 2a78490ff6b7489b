"""Labels from files: the layouts that are read, classes of rows, and what is no such file."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tombola.experiments import Label
from tombola.experiments.six.mappings import mapped_label, read_mappings

DRUG = Label("drug", ("a", "b", "c"), np.array([2, 0, -1, 1, 0], dtype=np.int64))
FINE = {"a": "kinase", "b": "channel"}
NESTED = {"a": {"broad": "x", "fine": "kinase"}, "b": {"broad": None, "fine": "channel"}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mechanisms.csv", "drug,fine,broad\na,kinase,x\nb,channel,\n\n"),
        ("drug_to_fine.json", json.dumps(FINE)),
        ("drug.json", json.dumps(NESTED)),
        ("drug_to_moa.json", json.dumps(NESTED)),
    ],
)
def test_layouts_are_read_alike(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "README.md").write_text("not read", encoding="utf-8")
    mappings = read_mappings(tmp_path)
    fine = mappings["fine"]
    assert (fine.column, dict(fine.classes)) == ("drug", FINE)
    label = mapped_label(fine, DRUG)
    assert label.classes == ("channel", "kinase")
    assert label.codes.tolist() == [-1, 1, -1, 0, 1]
    if "broad" in mappings:
        assert mapped_label(mappings["broad"], DRUG).codes.tolist() == [-1, 0, -1, -1, 0]


def test_values_that_the_column_lacks_are_classes_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "drug_to_fine.json").write_text(json.dumps({**FINE, "z": "other"}), encoding="utf-8")
    assert mapped_label(read_mappings(tmp_path)["fine"], DRUG).classes == ("channel", "kinase", "other")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "must hold CSV or JSON files, but holds none"),
        ({"a.csv": "drug\na\n"}, "a.csv: the first line must name an obs column and one or more labels"),
        ({"a.csv": ""}, "a.csv: the first line must name an obs column"),
        ({"a.csv": "drug,fine\na,b,c\n"}, "a.csv, line 2: 2 cells are expected, but there are 3"),
        ({"a.csv": "drug,fine\na,x\na,y\n"}, "drug 'a' has two classes of 'fine': 'x' and 'y'"),
        ({"a.csv": "drug,fine\na,\n"}, "a class for each drug is expected, but fine is empty"),
        ({"a.json": "{"}, "a.json: no valid JSON"),
        ({"a.json": "[1]"}, "an object of values to classes is expected, but found list"),
        ({"drug.json": '{"a": "x"}'}, "the name must say what is mapped"),
        ({"drug_to_fine.json": '{"a": [1]}'}, "the class of 'a' must be a text"),
        ({"drug.json": '{"a": {"fine": "x"}, "b": "y"}'}, "the class of 'b' must be a text, or an object"),
        (
            {"a.csv": "drug,fine\na,x\n", "drug_to_fine.json": '{"a": "x"}'},
            "drug_to_fine.json: the label 'fine' is in a.csv, too",
        ),
        ({"drug_to_fine.json": '{"a": "x", "a": "y"}'}, "drug 'a' has two classes of 'fine': 'x' and 'y'"),
        ({"drug.json": '{"a": {"f": "x"}, "a": {"f": "y"}}'}, "drug 'a' has two classes of 'f': 'x' and 'y'"),
        ({"drug_to_fine.json": '{"a": true}'}, "the class of 'a' must be a text"),
        ({"drug_to_fine.json": "[" * 100_000}, "drug_to_fine.json: no valid JSON"),
    ],
)
def test_what_is_no_table_is_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_mappings(tmp_path)


@pytest.mark.parametrize("value", ["a\nb", "a\x85b", "a\u2028b"])
def test_lines_end_where_csv_ends_them(value: str, tmp_path: Path) -> None:
    """Not within quotes, nor where other texts end theirs."""
    text = f'drug,fine\r\n"{value}",x\r\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    assert dict(read_mappings(tmp_path)["fine"].classes) == {value: "x"}


def test_a_table_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"drug,fine\n\xe9,x\n")
    with pytest.raises(ValueError, match=r"a.csv: no valid CSV: 'utf-8' codec can't decode"):
        read_mappings(tmp_path)


def test_a_pickle_is_refused_with_a_cure_that_works(tmp_path: Path) -> None:
    path = tmp_path / "drug_to_fine.pkl"
    path.write_bytes(pickle.dumps(FINE))
    with pytest.raises(
        ValueError, match=r"drug_to_fine\.pkl: a pickle runs code, so it is not read; "
    ) as told:
        read_mappings(tmp_path)
    cure = str(told.value).partition("; ")[2].partition(" writes JSON")[0]
    subprocess.run([sys.executable, "-c", f"import json, pickle; {cure}"], check=True)
    assert mapped_label(read_mappings(tmp_path)["fine"], DRUG).classes == ("channel", "kinase")


def test_a_file_of_another_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drug_to_fine.json").write_text('{"A": "x"}', encoding="utf-8")
    with pytest.raises(ValueError, match="none of its values is one of the obs column 'drug', such as 'a'"):
        mapped_label(read_mappings(tmp_path)["fine"], DRUG)


def test_a_folder_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"label_dir must be a folder of CSV or JSON files, but .* is none"):
        read_mappings(tmp_path / "none")
