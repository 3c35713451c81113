"""Decide whether a LoRA file may replace a release: inspection, images of both, release verdict."""
