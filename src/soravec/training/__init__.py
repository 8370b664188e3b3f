"""Learning (extra `train`) from labelled clips; `pretraining` makes the bundled model."""
