"""Imports go one way: the order of tools/import_order.toml, on the code and on small packages that break it."""

import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def load_tool():
    spec = importlib.util.spec_from_file_location("import_order", ROOT / "tools/import_order.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tool = load_tool()
ORDER, IMPORTS = tool.read_order(), tool.imports_of()


@pytest.fixture
def package(tmp_path):
    """Write a package of these files, and return its imports."""

    def write(**files):
        for name, text in {"__init__": "", **files}.items():
            path = tmp_path / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tool.imports_of(tmp_path)

    return write


def test_every_room_has_its_place_and_every_place_its_room():
    assert tool.rooms_of() == set(ORDER.rooms)


def test_no_room_imports_a_later_one():
    assert tool.running_back(ORDER, IMPORTS) == []


def test_no_two_files_import_each_other():
    assert tool.circles(IMPORTS) == []


def test_libraries_are_imported_where_they_belong():
    assert tool.out_of_place(ORDER, IMPORTS) == []


def test_the_image_and_the_page_are_those_of_the_code():
    remedy = "run: python tools/import_order.py"
    assert tool.IMAGE.read_text("utf-8") == tool.draw(ORDER, IMPORTS), remedy
    page = tool.PAGE.read_text("utf-8")
    assert tool.page_with(page, tool.table(ORDER)) == page, remedy


@pytest.mark.parametrize(
    "text",
    [
        "from qiltest.runs import store",
        "import qiltest.runs.store",
        "from qiltest import runs",
        "def f():\n    from qiltest.runs.store import open_store",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from qiltest.runs import store",
        "import importlib\nimportlib.import_module('qiltest.runs.store')",
        "from ..runs import store",
    ],
)
def test_an_import_that_runs_back_is_named_wherever_it_stands(package, text):
    imports = package(gate__in__judge=text, gate__in____init__="", runs__in____init__="", runs__in__store="")
    (line,) = tool.running_back(ORDER, imports)
    assert line.startswith("gate/judge.py:")
    assert line.endswith("gate stands before runs")
    assert 'class="back"' in tool.draw(ORDER, imports)


def test_an_import_of_an_earlier_room_or_of_the_version_is_none_that_runs_back(package):
    runs = "from qiltest import __version__\nimport qiltest\nimport qiltest.gate"
    imports = package(
        runs=runs, gate="import json", __init__="from qiltest.runs import x", __main__="import qiltest.runs"
    )
    assert tool.running_back(ORDER, imports) == []
    assert tool.circles(imports) == []
    assert set(tool.arrows(imports)) == {("runs", "gate")}


def test_files_that_import_each_other_are_named_also_by_way_of_a_third(package):
    imports = package(
        a="import qiltest.b", b="import qiltest.c", c="def f():\n    import qiltest.a", d="import qiltest.a"
    )
    assert tool.circles(imports) == [
        "a.py <-> b.py, c.py",
        "b.py <-> a.py, c.py",
        "c.py <-> a.py, b.py",
    ]


@pytest.mark.parametrize(
    ("file", "text", "allowed"),
    [
        ("generation__in__load", "import torch.nn", True),
        ("reading__in__easyocr__in__reader", "import torch", False),
        ("reading__in__easyocr__in__models", "import easyocr", True),
        ("reading__in__easyocr_too", "import easyocr", False),
        ("engine__in__options", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pytest", False),
        ("plugin", "import pytest", True),
        ("engine__in__workers", "import ray", False),
    ],
)
def test_a_library_out_of_its_place_is_named(package, file, text, allowed):
    assert bool(tool.out_of_place(ORDER, package(**{file: text}))) is not allowed


def test_the_image_has_a_box_per_room_in_order_and_every_arrow_points_up():
    image = ElementTree.fromstring(tool.draw(ORDER, IMPORTS))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [(float(box.get("x")), float(box.get("y"))) for box in image.iter(f"{space}rect")]
    assert len(boxes) == len(ORDER.rooms)
    assert boxes == sorted(boxes)
    lines = [path.get("d") for path in image.iterfind(f".//{space}g/{space}path")]
    assert len(lines) == len(tool.arrows(IMPORTS)) > 50
    for line in lines:
        start, tip = line.removeprefix("M").replace("H", " ").replace("V", " ").split()[1::2]
        assert float(tip) < float(start)


def test_the_numbers_count_files_lines_and_functions_that_differ_in_names_alone(package, tmp_path):
    lines = (
        "def {0}({1}):",
        "    {2} = [{1} + {3}]",
        "    for one in {2}:",
        "        print(one, {3})",
        "    return sum({2}) * {3}",
        "",
    )
    body = "\n".join(lines)
    gate, runs = body.format("f", "x", "a", 1), body.format("g", "y", "b", 2)
    other = body.format("h", "x", "a", 1).replace("sum(a) *", "sum(a) +")
    package(
        gate=f"import qiltest.runs\n{gate}",
        runs=f"import qiltest.gate\n{runs}",
        errors=f"{other}\ndef k():\n    pass\n",
    )
    assert tool.alike(tmp_path) == [("gate.py:f", "runs.py:g")]
    assert tool.numbers(tmp_path) == {
        "files": 4,
        "lines": 20,
        "longest file, lines": 8,
        "rooms": 3,
        "arrows between rooms": 2,
        "pairs of rooms that import each other": 1,
        "files in a circle": 2,
        "functions like another but for names and constants": 2,
    }
