"""Tells a model's thinking from its answer while the text is still arriving."""
