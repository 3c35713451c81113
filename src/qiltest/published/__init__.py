"""The Qwen-Image-Lightning performance report that this repository reproduces; only its ten cases need it."""
