"""How the bundled `sora-mini` is made: distillation on photographs, an RNN on generated moves."""
