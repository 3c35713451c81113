"""May a LoRA file replace a release: inspection of the candidate, images of both, paired verdict."""
