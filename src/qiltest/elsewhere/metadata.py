"""What an image file tells of how it was made: A1111's `parameters`, ComfyUI's `prompt` and `workflow`.

It is read as told, and not believed: of use where it contradicts what was asked for. Time and memory are bounded, JSON
is read strictly, and what cannot be read is left out with a word.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from qiltest import strict_json
from qiltest.image_files import DECODERS_RAISE
from qiltest.reading.images import FORMATS
from qiltest.recipe import Scalar, Size

#: characters of a text in a file that are looked at, and of a value that is kept.
MOST_TEXT, MOST_VALUE = 1 << 20, 200
#: values that are kept of one file.
MOST_FACTS = 64
#: of A1111's last line, which holds the settings.
_MOST_SETTINGS = 20_000
_EXIF, _USER_COMMENT = 0x8769, 0x9286
#: name and value of a setting: `Steps: 8`, or `Lora hashes: "a: 1, b: 2"`.
_SETTING = re.compile(r"""\s*([\w][\w ./-]{0,60}):\s*("[^"]*"|[^,]*)(?:,|$)""")
#: inputs of ComfyUI's nodes that say how an image was made.
_INPUTS = {
    "seed": "seed",
    "noise_seed": "seed",
    "steps": "steps",
    "cfg": "cfg",
    "sampler_name": "sampler",
    "scheduler": "scheduler",
    "lora_name": "lora",
    "unet_name": "model",
    "ckpt_name": "model",
}
_NUMBER = re.compile(r"[0-9.]+")
_LATENT = re.compile(r"Empty\w*Latent\w*")
#: what both tell and the plan says: names after their source's.
_A1111, _COMFYUI = "a1111", "comfyui"


def told_by(data: bytes) -> dict[str, Scalar]:
    """Return what the bytes of an image file tell, by name: `a1111.Steps`, `comfyui.seed`; {} for nothing."""
    told: dict[str, Scalar] = {}
    for name, text in _texts(data).items():
        if len(text) > MOST_TEXT:
            told[f"{name}.unread"] = f"more than {MOST_TEXT:,} characters"
        elif name == "parameters":
            told |= {f"{_A1111}.{key}": value for key, value in _settings(text)}
        elif name == "prompt":
            told |= _graph(text)
        elif name == "workflow":
            told |= _workflow(text)
    return dict(list(told.items())[:MOST_FACTS])


def contradictions(told: Mapping[str, Scalar], *, seed: int, steps: int, size: Size) -> Iterator[str]:
    """Yield where what a file tells is not what was asked for; `size` is the one to be generated."""
    asked: dict[str, Scalar] = {"seed": seed, "steps": steps, "size": str(size)}
    for source, names in _NAMES.items():
        for what, name in names.items():
            value = told.get(f"{source}.{name}")
            if value is not None and value != asked[what] and str(value) != str(asked[what]):
                yield f"the file tells {what} {value} ({source}), asked was {asked[what]}"


_NAMES = {
    _A1111: {"seed": "Seed", "steps": "Steps", "size": "Size"},
    _COMFYUI: {"seed": "seed", "steps": "steps", "size": "size"},
}


def _texts(data: bytes) -> dict[str, str]:
    """Return the texts of a file by name; none where it has none or they cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                if opened.format == "PNG":
                    found = getattr(opened, "text", {})  # reads to the file's end: the chunks may follow the pixels
                    return {name: found[name] for name in ("parameters", "prompt", "workflow") if name in found}
                comment = opened.getexif().get_ifd(_EXIF).get(_USER_COMMENT)
                return {"parameters": _comment(comment)} if isinstance(comment, bytes) else {}
    except DECODERS_RAISE:
        return {}  # whether it is an image is asked elsewhere


def _comment(data: bytes) -> str:
    """Return an EXIF comment: eight bytes name its encoding."""
    code, text = data[:8], data[8 : 8 + 2 * MOST_TEXT]
    if code == b"UNICODE\0":
        return text.decode("utf-16-be", errors="replace")
    return text.decode("utf-8", errors="replace")


def _settings(text: str) -> Iterator[tuple[str, Scalar]]:
    """Yield the settings in the last line of A1111's text."""
    last = text.rstrip().rpartition("\n")[2]
    if len(last) > _MOST_SETTINGS or not last.startswith("Steps:"):
        return
    place = 0
    for _ in range(MOST_FACTS):
        match = _SETTING.match(last, place)
        if match is None or match.end() == place:
            return
        yield match[1].strip(), _value(match[2].strip().strip('"'))
        place = match.end()


def _graph(text: str) -> dict[str, Scalar]:
    """Return what the nodes of ComfyUI's prompt say: a setting that has one value in all of them."""
    nodes = _parsed(text)
    if not isinstance(nodes, dict):
        return {f"{_COMFYUI}.unread": nodes}
    values: dict[str, list[Scalar]] = {}
    for node in nodes.values():
        for name, value in _inputs(node):
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return {
        f"{_COMFYUI}.{name}": found[0] if len(found) == 1 else f"several: {', '.join(map(str, found))}"[:MOST_VALUE]
        for name, found in values.items()
        if len(found) == 1 or name not in {"seed", "steps", "size"}
    }


def _inputs(node: object) -> Iterator[tuple[str, Scalar]]:
    kind = node.get("class_type") if isinstance(node, dict) else None
    inputs = node.get("inputs") if isinstance(node, dict) else None
    if not isinstance(inputs, dict) or not isinstance(kind, str) or len(kind) > MOST_VALUE:
        return
    for name, value in inputs.items():
        if name in _INPUTS and isinstance(value, str | int | float) and not isinstance(value, bool):
            yield _INPUTS[name], _value(value) if isinstance(value, str) else value
    if kind == "ManualSigmas" and isinstance(inputs.get("sigmas"), str):
        yield "sigmas", inputs["sigmas"][:MOST_VALUE]
        yield "steps", max(0, len(_NUMBER.findall(inputs["sigmas"])) - 1)  # with the final 0
    width, height = inputs.get("width"), inputs.get("height")
    if _LATENT.fullmatch(kind) and isinstance(width, int) and isinstance(height, int):
        yield "size", f"{width}x{height}"


def _workflow(text: str) -> dict[str, Scalar]:
    found = _parsed(text)
    if not isinstance(found, dict):
        return {f"{_COMFYUI}.workflow_unread": found}
    nodes = found.get("nodes")
    return {f"{_COMFYUI}.workflow_nodes": len(nodes)} if isinstance(nodes, list) else {}


def _parsed(text: str) -> dict[str, Any] | str:
    """Return a JSON object, or why it is none."""
    try:
        found = strict_json.parse(text)
    except strict_json.StrictJsonError as error:
        return error.faults[0][:MOST_VALUE]
    return found if isinstance(found, dict) else "not a JSON object"


def _value(text: str) -> Scalar:
    """Return a value as a number where it is a whole one."""
    kept = text[:MOST_VALUE]
    return int(kept) if kept.isascii() and kept.isdigit() and len(kept) <= 20 else kept
