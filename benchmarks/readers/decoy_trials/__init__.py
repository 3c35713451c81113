"""Trials without images: lines of other text beside a case's own, and planted errors."""
