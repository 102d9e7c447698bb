"""Makes a model's text harmless and readable on Discord."""
