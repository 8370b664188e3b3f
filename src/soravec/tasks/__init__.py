"""Answers: each one public function over vectors and features."""
