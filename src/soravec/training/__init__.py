"""Learning (extra `train`): at present the pretraining of `sora-mini`."""
