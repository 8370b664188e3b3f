"""Frames to vectors: the model folder, the engines, the encoder. No PyTorch."""
