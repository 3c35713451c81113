"""EasyOCR, a second engine, built on torch: which weights it opens, and how it reads."""
