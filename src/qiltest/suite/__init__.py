"""Load and check cases and variants, and select the samples of a run."""
