"""Settings: what they are, their defaults with unit and source, and the loader."""
