"""What the operator is told of a database that was lost, damaged or replaced."""

from __future__ import annotations

from typing import Final

MADE_ANEW: Final = "The database came back without its tables; they were made anew."
DAMAGED: Final = "The database was damaged; it is kept as {name} and a new one was begun."
REPLACED: Final = (
    "Another database was put in the place of mine while I was running; I go on with that one, and "
    "what is in force and open now was written into it."
)
WRITTEN_AGAIN: Final = (
    "The database's file was deleted or overwritten while I was running; I wrote it again, whole."
)
LOG_FOLDED: Final = (
    "The database's log file was deleted while I was running; what it held is in the database now."
)
LOG_DAMAGED: Final = (
    "The database's log was damaged: the last changes of settings and the last questions before the "
    "stop may be missing. It is kept as {name}."
)
BEGUN_ANEW: Final = (
    "The database's file was deleted or overwritten while I was running; a new one was begun with "
    "the settings and open questions. Older answers and the history of settings are lost."
)
