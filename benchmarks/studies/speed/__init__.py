"""Speed: a training step of ours against the peers' and against the bare work."""
