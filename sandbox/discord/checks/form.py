"""Field errors of a request body, collected before it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.discord.values.errors import ApiError, ErrorTree


class Form:
    """Collects the field errors of one request body, then refuses all of them at once."""

    def __init__(self) -> None:
        self.errors: ErrorTree = {}

    def wrong(self, path: str, code: str, message: str) -> None:
        """Note an error at a dotted path; the empty path is the body itself."""
        node = self.errors
        for part in filter(None, path.split(".")):
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def required(self, path: str) -> None:
        """Note that a field is missing."""
        self.wrong(path, "BASE_TYPE_REQUIRED", "This field is required")

    def choices(self, path: str, values: object) -> None:
        """Note that a value is none of those allowed."""
        self.wrong(path, "BASE_TYPE_CHOICES", f"Value must be one of {values}.")

    def text(
        self, path: str, value: object, *, least: int = 0, most: int, required: bool = True
    ) -> bool:
        """Check a string's type and length in UTF-16 units; return whether it is right."""
        if value is None:
            if required:
                self.required(path)
            return not required
        if not isinstance(value, str):
            self.wrong(path, "BASE_TYPE_BAD_TYPE", "Could not interpret value as string.")
            return False
        size = utf16_len(value)
        if least <= size <= most:
            return True
        if size == 0:
            self.required(path)
        elif least:
            self.wrong(
                path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length."
            )
        else:
            self.wrong(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        return False

    def finish(self) -> None:
        """Refuse the body if anything was wrong.

        Raises:
            ApiError: 50035 with the tree of errors.
        """
        if self.errors:
            raise ApiError(50035, errors=self.errors)


@contextmanager
def collect_errors() -> Iterator[Form]:
    """Collect field errors, and refuse the body at the end if there are any.

    Raises:
        ApiError: 50035 with the tree of errors.
    """
    form = Form()
    yield form
    form.finish()


def utf16_len(text: str) -> int:
    """Return a length in UTF-16 units, the strictest reading of Discord's "characters"."""
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)
