"""Several sources side by side: what `qiltest compare --across` writes."""
