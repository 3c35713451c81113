"""What an image file tells of itself: read within bounds, and compared with what was asked for."""

import io
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from qiltest.elsewhere.metadata import MOST_FACTS, contradictions, told_by
from qiltest.recipe import Size

A1111 = (
    'A sign that says "Qwen: 1, 2"\nNegative prompt: blurry, low quality\n'
    'Steps: 8, Sampler: Euler, CFG scale: 1.0, Seed: 42, Size: 512x256, Lora hashes: "fast: 1a, other: 2b", Version: 1'
)
GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 42, "steps": 8, "cfg": 1.0, "sampler_name": "euler"}},
    "5": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 512, "height": 256, "batch_size": 1}},
    "7": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": "fast.safetensors", "model": ["1", 0]}},
}


def png(**texts):
    chunks = PngInfo()
    for name, value in texts.items():
        chunks.add_itxt(name, value)
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


ASKED = Size(512, 256)


def said(told, *, seed=42, steps=8, size=ASKED):
    return list(contradictions(told, seed=seed, steps=steps, size=size))


def test_a1111s_settings_are_read_from_the_last_line_quotes_and_all():
    told = told_by(png(parameters=A1111))
    assert told == {
        "a1111.Steps": 8,
        "a1111.Sampler": "Euler",
        "a1111.CFG scale": "1.0",
        "a1111.Seed": 42,
        "a1111.Size": "512x256",
        "a1111.Lora hashes": "fast: 1a, other: 2b",
        "a1111.Version": 1,
    }
    assert said(told) == []
    assert said(told, seed=7, steps=4, size=Size(512, 512)) == [
        "the file tells seed 42 (a1111), asked was 7",
        "the file tells steps 8 (a1111), asked was 4",
        "the file tells size 512x256 (a1111), asked was 512x512",
    ]


def test_comfyuis_graph_tells_what_all_of_its_nodes_agree_on():
    told = told_by(png(prompt=json.dumps(GRAPH), workflow=json.dumps({"nodes": [1, 2, 3]})))
    assert told["comfyui.lora"] == "fast.safetensors"
    assert (told["comfyui.seed"], told["comfyui.steps"], told["comfyui.size"]) == (42, 8, "512x256")
    assert told["comfyui.workflow_nodes"] == 3
    assert said(told, seed=1) == ["the file tells seed 42 (comfyui), asked was 1"]
    two = {**GRAPH, "9": {"class_type": "KSampler", "inputs": {"seed": 43, "steps": 8}}}
    assert "comfyui.seed" not in told_by(png(prompt=json.dumps(two)))
    sigmas = {"1": {"class_type": "ManualSigmas", "inputs": {"sigmas": "1.0, 0.9, 0.75, 0.5, 0.0"}}}
    assert told_by(png(prompt=json.dumps(sigmas)))["comfyui.steps"] == 4


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_a1111_in_other_formats_is_an_exif_comment(form):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode("utf-16-be")
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, form, exif=exif)
    assert told_by(out.getvalue())["a1111.Seed"] == 42


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({}, {}),
        ({"Description": "a sign"}, {}),
        ({"parameters": "no settings here"}, {}),
        ({"parameters": "Steps: 8"}, {"a1111.Steps": 8}),
        ({"parameters": "Steps"}, {}),
        ({"prompt": "["}, {"comfyui.unread": "Invalid JSON: Expecting value: line 1 column 2 (char 1)"}),
        ({"prompt": "[1]"}, {"comfyui.unread": "not a JSON object"}),
        ({"prompt": '{"1": {"is_changed": [NaN]}}'}, {"comfyui.unread": "NaN is not a finite number"}),
        ({"prompt": '{"1": 2, "3": {"class_type": 4, "inputs": {"seed": 1}}}'}, {}),
        ({"prompt": '{"1": {"class_type": "K", "inputs": {"seed": true, "steps": [1, 0]}}}'}, {}),
        ({"workflow": '{"nodes": {}}'}, {}),
        ({"prompt": "[" * 100_000}, {"comfyui.unread": "Invalid JSON: more than 64 levels inside one another"}),
    ],
)
def test_what_cannot_be_read_is_left_out_with_a_word(texts, told):
    assert told_by(png(**texts)) == told


def test_a_chunk_that_unpacks_to_gigabytes_tells_nothing():
    packed = zlib.compress(b"\0" * (64 << 20))
    chunk = b"parameters\0\0" + packed
    data = png()
    length = len(chunk).to_bytes(4, "big")
    bomb = length + b"zTXt" + chunk + zlib.crc32(b"zTXt" + chunk).to_bytes(4, "big")
    assert told_by(data[:33] + bomb + data[33:]) == {}


def test_very_many_settings_and_a_very_long_line_are_cut():
    many = "Steps: 1, " + ", ".join(f"k{n}: {n}" for n in range(1000))
    assert len(told_by(png(parameters=many))) == MOST_FACTS
    assert told_by(png(parameters="Steps: 1, a: " + "x" * 30_000)) == {}
    assert len(told_by(png(parameters="Steps: 1, a: " + "x" * 5_000))["a1111.a"]) == 200


@settings(deadline=None)
@given(text=st.text(max_size=400), name=st.sampled_from(["parameters", "prompt", "workflow"]))
def test_no_text_of_a_file_is_an_error(text, name):
    told = told_by(png(**{name: text.replace("\0", "")}))
    assert list(contradictions(told, seed=1, steps=1, size=Size(16, 16))) is not None


@given(data=st.binary(max_size=200))
def test_no_bytes_are_an_error(data):
    assert told_by(data) == {}
    assert isinstance(told_by(png()[:-20] + data), dict)
