"""A folder with a suite of its own: two cases, two default variants, and the stand-in model and reader: four images.

Tests of whole sessions run pytest in such a folder, and so does benchmarks/faults/kills.py.
"""

from __future__ import annotations

from pathlib import Path

#: the conftest.py of the folder.
STANDIN = Path(__file__).parent / "integration" / "standin_conftest.py"

CASE = """
id = "{id}"
title = "{title}"
language = "en"
prompt = "{prompt}"

[[texts]]
text = "{first}"

[[texts]]
text = "{second}"

[[resolutions]]
size = "1328x1328"
tiny = "256x128"
"""

VARIANTS = """
[base]
title = "Base, 4 steps, CFG 4"
steps = 4
true_cfg_scale = 4.0
negative_prompt = " "
scheduler = "model"

[fast]
title = "Fast, 2 steps"
steps = 2
true_cfg_scale = 1.0
scheduler = "lightning"

[fast.loras]
real = { source = "owner/name::fast.safetensors" }
tiny = { source = "embedded::fast" }

[spare]
title = "Spare, 1 step"
steps = 1
true_cfg_scale = 1.0
scheduler = "model"
default = false
"""

TEST = """
def test_report_case(qil_case_run):
    qil_case_run.check()
"""


def write_suite(folder: Path) -> None:
    """Write the suite into a folder that exists."""
    (folder / "conftest.py").write_text(STANDIN.read_text())
    (folder / "test_suite.py").write_text(TEST)
    (folder / "cases").mkdir()
    (folder / "cases" / "variants.toml").write_text(VARIANTS)
    write_case(folder, "coffee", first="Qwen Coffee", second="2 dollars")
    write_case(folder, "poster", first="Imagination Unleashed", second="Enter a world")


def write_case(folder: Path, name: str, *, first: str, second: str) -> None:
    """Write a case file with two texts."""
    prompt = f"A sign reads {first} and another {second}"
    text = CASE.format(id=name, title=f"The {name} sign", prompt=prompt, first=first, second=second)
    (folder / "cases" / f"{name}.toml").write_text(text)
