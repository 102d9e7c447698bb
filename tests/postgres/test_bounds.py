"""The same bounds as on SQLite: these are its tests, on this folder's ``location``."""

from tests.unit.storage.test_bounds import *  # noqa: F403 - whatever tests there are
