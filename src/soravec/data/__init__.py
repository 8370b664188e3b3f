"""Labelled video: manifests, splits, features, and generated video with known truth."""
