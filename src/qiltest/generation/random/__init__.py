"""Qwen-Image at full size with random weights: prompts, LoRAs and operation counts for speed measurements."""
