"""Compare two runs or two variants image by image: pairing, statistics, verdict, sample size."""
