"""Produce a run's results without pytest: options, run context, image producer, OCR worker, rescore, review."""
