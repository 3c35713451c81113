"""Inspect LoRA files without torch, the base's weights or pickle."""

from qiltest.lora.bases import Base, base_from_folder, qwen_image
from qiltest.lora.inspection import inspect_lora
from qiltest.lora.likeness import compare
from qiltest.lora.report import LoraFinding, LoraReport, Severity

__all__ = [
    "Base",
    "LoraFinding",
    "LoraReport",
    "Severity",
    "base_from_folder",
    "compare",
    "inspect_lora",
    "qwen_image",
]
