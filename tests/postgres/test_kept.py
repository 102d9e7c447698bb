"""The same promises as on SQLite: these are its tests, on this folder's ``location``."""

from tests.unit.storage.test_kept import *  # noqa: F403 - whatever tests there are
