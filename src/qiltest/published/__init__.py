"""The Qwen-Image-Lightning performance report that this repository reproduces: needed by its ten cases alone."""
