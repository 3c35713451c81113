"""Case files of the task edit: their keys, and what an untouched input would pass."""

from pathlib import Path

import pytest

from qiltest.errors import CaseError, InputError
from qiltest.suite.cases import TaskKind
from qiltest.suite.inputs import find_input
from qiltest.suite.load import load_cases, load_suite
from qiltest.suite.selection import left_out, select
from qiltest.suite.variants import ModelKind

ROOT = Path(__file__).parents[2]
VARIANTS = '[base]\ntitle = "B"\nsteps = 4\ntrue_cfg_scale = 1\nscheduler = "model"\n'
PLAIN = """id = "shop"
title = "A shop"
language = "en"
prompt = "A shop with OPEN on it"
[[texts]]
text = "OPEN"
[[resolutions]]
size = "1328x1328"
tiny = "256x256"
"""
EDIT = """id = "sign"
task = "edit"
title = "A sign"
language = "en"
prompt = "Replace 'SALE' with 'OPEN'"
removed = ["SALE"]
rounds = 2
[[inputs]]
file = "inputs/sign.png"
[[inputs]]
case = "shop"
variant = "base"
seed = 7
[[texts]]
text = "OPEN"
[[texts]]
text = "Main Street"
kept = true
[[resolutions]]
size = "1024x1024"
tiny = "256x256"
[rest]
may_change = [[0.1, 0.2, 0.5, 0.4]]
change = "report"
"""


def write(folder: Path, edit: str = EDIT) -> Path:
    (folder / "edit" / "inputs").mkdir(parents=True)
    (folder / "edit" / "inputs" / "sign.png").write_bytes(b"x")
    (folder / "variants.toml").write_text(VARIANTS)
    (folder / "shop.toml").write_text(PLAIN)
    (folder / "edit" / "sign.toml").write_text(edit)
    return folder


def test_an_edit_case_is_read_whole(tmp_path):
    suite = load_suite(write(tmp_path))
    assert [case.id for case in suite.cases] == ["shop"]
    (case,) = suite.edits
    assert (case.task, case.rounds, case.gone) == (TaskKind.EDIT, 2, ("SALE",))
    assert [text.kept for text in case.texts] == [False, True]
    assert [str(source) for source in case.edit.inputs] == ["inputs/sign.png", "shop-base-s7"]
    assert not case.edit.change_gates
    assert case.edit.may_change[0].right == 0.5
    assert [one.id for one in load_cases(tmp_path)] == ["shop"]
    assert [one.id for one in load_cases(tmp_path, edits=True)] == ["shop", "sign"]


def test_edits_are_selected_for_models_that_edit_and_by_name(tmp_path):
    suite = load_suite(write(tmp_path))
    edits = frozenset({TaskKind.EDIT})

    def chosen(**options):
        return [task.sample.id for task in select(suite, kind=ModelKind.TINY, **options)]

    rounds = ["sign@1024x1024-base-s42", "sign@1024x1024-base-s42-r2"]
    assert chosen() == ["shop@1328x1328-base-s42"]
    assert chosen(able=edits) == chosen(cases=["sign"]) == rounds
    assert [case.id for case in left_out(suite, cases=(), able=edits)] == ["shop"]
    assert left_out(suite, cases=("shop",), able=edits) == ()


def test_a_suite_without_a_case_of_the_models_task_selects_nothing_and_says_so(tmp_path):
    suite = load_suite(write(tmp_path))
    with pytest.raises(CaseError, match="the suite has none of the task edit"):
        select(load_suite(alone(tmp_path)), kind=ModelKind.TINY, able=frozenset({TaskKind.EDIT}))
    assert suite.every


def alone(folder: Path) -> Path:
    (folder / "edit" / "sign.toml").unlink()
    return folder


MISTAKES = {
    "no input": (EDIT[EDIT.index("[[inputs]]") : EDIT.index("[[texts]]")], "", "inputs: an edit case without an input"),
    "both kinds of input": ('file = "inputs/sign.png"', 'file = "a.png"\ncase = "shop"', "has both `file` and `case`"),
    "out of the folder": ("inputs/sign.png", "../sign.png", 'inputs[0].file: "../sign.png" leads out of the folder'),
    "an address without a hash": (
        'file = "inputs/sign.png"',
        'file = "a.png"\nget = "https://example.org"',
        "inputs[0].sha256: missing: anything could be behind the address",
    ),
    "no such case": ('case = "shop"', 'case = "shup"', 'inputs[1].case: "shup" is not a text-to-image case'),
    "no such size": ('case = "shop"', 'case = "shop"\nsize = "64x64"', 'inputs[1].size: "64x64" is no resolution'),
    "no such variant": ('variant = "base"', 'variant = "bass"', 'inputs[1].variant: "bass" is not a variant'),
    "wanted and removed": ('removed = ["SALE"]', 'removed = ["OPEN"]', 'removed[0]: "OPEN" is also texts[0]'),
    "wanted and removed, but for its case and marks": (
        'removed = ["SALE"]',
        'removed = ["open!"]',
        'removed[0]: "open!" is also texts[0], "OPEN": letters and digits alone are compared',
    ),
    "removed without a letter": (
        'removed = ["SALE"]',
        'removed = ["SALE", "!!!"]',
        'removed[1]: "!!!" has no letter or digit, and only these are looked for',
    ),
    "removed twice, but for its marks": (
        'removed = ["SALE"]',
        'removed = ["SALE", "Sale!"]',
        'removed[1]: "Sale!" duplicates removed[0]',
    ),
    "a part of a text that stays may be removed elsewhere": ('removed = ["SALE"]', 'removed = ["Main"]', None),
    "nothing but texts that stay": (
        'removed = ["SALE"]',
        "",
        None,
    ),
    "a region without area": ("[0.1, 0.2, 0.5, 0.4]", "[0.5, 0.2, 0.5, 0.4]", "rest.may_change[0]: "),
    "a limit that the input passes": ("[rest]", "[limits]\ntolerance = 8\n[rest]", "would let the input itself pass"),
    "too many rounds": ("rounds = 2", "rounds = 11", "rounds: 11 is not allowed"),
}


@pytest.mark.parametrize(("old", "new", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_key(tmp_path, old, new, expected):
    folder = write(tmp_path, EDIT.replace(old, new))
    if expected is None:
        load_suite(folder)
        return
    with pytest.raises(CaseError) as caught:
        load_suite(folder)
    assert expected in caught.value.what


def test_a_case_that_its_own_input_would_pass_is_refused(tmp_path):
    text = EDIT.replace('removed = ["SALE"]', "").replace('text = "OPEN"', 'text = "OPEN"\nkept = true')
    with pytest.raises(CaseError, match="the input itself would pass"):
        load_suite(write(tmp_path, text))


@pytest.mark.parametrize("key", ["rounds = 2", 'removed = ["X"]', "[rest]", '[[inputs]]\nfile = "a.png"'])
def test_keys_of_edits_are_refused_elsewhere(tmp_path, key):
    folder = write(tmp_path)
    plain = PLAIN.replace("[[texts]]", f"{key}\n[[texts]]", 1) if "[" not in key[:2] else PLAIN + key
    (folder / "shop.toml").write_text(plain)
    with pytest.raises(CaseError, match="only an edit case has it"):
        load_suite(folder)


def test_a_file_that_no_case_reads_is_told_and_inputs_are_not(tmp_path):
    folder = write(tmp_path)
    (folder / "edit" / "sign.png").write_bytes(b"x")
    with pytest.raises(CaseError, match="a file that is not read"):
        load_suite(folder)


def test_an_input_is_found_beside_its_case_and_compared_with_its_hash(tmp_path):
    (case,) = load_suite(write(tmp_path)).edits
    file = case.edit.inputs[0].file
    assert find_input(case, file).path == str(tmp_path / "edit" / "inputs" / "sign.png")
    (tmp_path / "edit" / "inputs" / "sign.png").unlink()
    with pytest.raises(InputError, match="restore the file"):
        find_input(case, file)


def test_the_shipped_edit_cases_name_what_they_need():
    suite = load_suite(ROOT / "cases")
    assert {case.id for case in suite.edits} >= {"edit-blocks-en", "edit-blocks-zh"}
    for case in suite.edits:
        for source in case.edit.inputs:
            assert (
                source.sample is not None or (source.file.sha256 and source.file.get) or find_input(case, source.file)
            )
    here = {case.id for case in suite.edits if case.has_its_inputs}
    assert here == {"edit-anime-street", "edit-capybara", "edit-menu", "edit-notice"}


@pytest.mark.parametrize(
    ("stray", "said"),
    [
        (
            "inputs/a.png",
            "a folder that is not read; allowed: input images in cases/edit/inputs/, beside edit cases in ",
        ),
        (
            "edits/a.toml",
            'a folder that is not read (did you mean "edit"?); allowed: *.toml, *.md and the folders floors, edit '
            "(edit cases)",
        ),
        ("edit/input/a.png", 'a folder that is not read (did you mean "inputs"?); allowed: *.toml, *.md and the'),
        ("sign.png", "a file that is not read; allowed: input images in cases/edit/inputs/"),
        ("edit/sign.PNG", "a file that is not read; allowed: input images in cases/edit/inputs/"),
        ("edit/images/a.png", "a folder that is not read; allowed: *.toml, *.md and the folders floors, inputs (input"),
        (
            "edit/notes.txt",
            "a file that is not read; allowed: *.toml, *.md and the folders floors, inputs (input images)",
        ),
    ],
)
def test_what_is_not_read_is_told_with_where_it_belongs(tmp_path, stray, said):
    folder = write(tmp_path / "cases")
    path = folder / stray
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    with pytest.raises(CaseError) as caught:
        load_suite(folder)
    named = path if "a file" in said else path.parent
    assert f"{named}\n  {said}" in str(caught.value)
