"""What a model is, in PyTorch, and how it becomes a folder (extra `train`)."""
