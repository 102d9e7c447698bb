"""The application: everything of Clawbot that is not the Discord surface."""

__version__ = "0.1.0"
