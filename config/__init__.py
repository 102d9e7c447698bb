"""Settings: what they are, their defaults with unit and source, and the loader."""

from config.loader import LoadResult, SettingsError, load_settings
from config.settings import Settings

__all__ = ["LoadResult", "Settings", "SettingsError", "load_settings"]
