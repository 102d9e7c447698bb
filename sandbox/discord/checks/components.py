"""What Discord refuses in components and modals (Discord: "Component reference")."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.discord.checks.form import Form
from sandbox.discord.values.components import (
    BUTTON,
    CONTAINER,
    FILE,
    GALLERY,
    LABEL,
    ROW,
    SECTION,
    SELECTS,
    SEPARATOR,
    STRING_SELECT,
    TEXT_DISPLAY,
    TEXT_INPUT,
    walk,
)
from sandbox.discord.values.json_objects import JsonObject

_V2_TOP = frozenset({ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR, CONTAINER})
_LINK, _PREMIUM = 5, 6
MAX_V2 = 40


def check_components(form: Form, components: object, *, v2: bool) -> None:
    """Check a message's components."""
    if components is None:
        return
    if not isinstance(components, list) or not all(isinstance(part, dict) for part in components):
        form.wrong("components", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return
    if v2:
        if sum(1 for _ in walk(components)) > MAX_V2:
            form.wrong("components", "BASE_TYPE_MAX_LENGTH", "Must be 40 or fewer in length.")
        texts = sum(len(part.get("content", "")) for part in walk(components))
        if texts > 4000:
            form.wrong(
                "components",
                "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED",
                "Displayable text size exceeds maximum size of 4000",
            )
    elif len(components) > 5:
        form.wrong("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    top = _V2_TOP if v2 else {ROW}
    for index, part in enumerate(components):
        path = f"components.{index}"
        if part.get("type") not in top:
            form.choices(f"{path}.type", f"({', '.join(map(str, sorted(top)))},)")
        else:
            _check_part(form, part, path)
    _check_unique(form, walk(components))


def _check_part(form: Form, part: JsonObject, path: str) -> None:
    kind = part.get("type")
    if kind == ROW:
        _check_row(form, part, path)
    elif kind == TEXT_DISPLAY:
        form.text(f"{path}.content", part.get("content"), least=1, most=4000)
    elif kind in {SECTION, CONTAINER}:
        for index, child in enumerate(part.get("components") or ()):
            _check_part(form, child, f"{path}.components.{index}")
        accessory = part.get("accessory")
        if kind == SECTION and not isinstance(accessory, dict):
            form.required(f"{path}.accessory")
        elif isinstance(accessory, dict) and accessory.get("type") == BUTTON:
            _check_button(form, accessory, f"{path}.accessory")


def _check_row(form: Form, row: JsonObject, path: str) -> None:
    children = row.get("components")
    if not isinstance(children, list) or not 1 <= len(children) <= 5:
        form.wrong(
            f"{path}.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length."
        )
        return
    selects = [child for child in children if child.get("type") in SELECTS]
    if selects and len(children) > 1:
        form.wrong(
            f"{path}.components",
            "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
            "The specified component exceeds the maximum width",
        )
    for index, child in enumerate(children):
        where = f"{path}.components.{index}"
        if child.get("type") == BUTTON:
            _check_button(form, child, where)
        elif child.get("type") in SELECTS:
            _check_select(form, child, where)
        else:
            form.choices(f"{where}.type", "(2, 3, 5, 6, 7, 8)")


def _check_button(form: Form, button: JsonObject, path: str) -> None:
    style = button.get("style")
    if style not in range(1, 7):
        form.choices(f"{path}.style", "(1, 2, 3, 4, 5, 6)")
        return
    form.text(f"{path}.label", button.get("label"), most=80, required=False)
    if style == _LINK:
        form.text(f"{path}.url", button.get("url"), least=1, most=512)
        if button.get("custom_id"):
            form.wrong(
                path, "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", "Use url or custom_id"
            )
        return
    if style != _PREMIUM:
        form.text(f"{path}.custom_id", button.get("custom_id"), least=1, most=100)
        if not button.get("label") and not button.get("emoji"):
            form.wrong(path, "BUTTON_COMPONENT_INVALID_DISPLAY", "A label or emoji is needed")


def _check_select(form: Form, select: JsonObject, path: str) -> None:
    form.text(f"{path}.custom_id", select.get("custom_id"), least=1, most=100)
    form.text(f"{path}.placeholder", select.get("placeholder"), most=150, required=False)
    if select.get("type") != STRING_SELECT:
        return
    options = select.get("options")
    if not isinstance(options, list) or not 1 <= len(options) <= 25:
        form.wrong(f"{path}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
        return
    seen: set[str] = set()
    for index, option in enumerate(options):
        where = f"{path}.options.{index}"
        form.text(f"{where}.label", option.get("label"), least=1, most=100)
        form.text(f"{where}.value", option.get("value"), least=1, most=100)
        form.text(f"{where}.description", option.get("description"), most=100, required=False)
        if option.get("value") in seen:
            form.wrong(
                f"{where}.value",
                "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                "The specified option value is already used",
            )
        seen.add(str(option.get("value")))


def _check_unique(form: Form, parts: Iterable[JsonObject]) -> None:
    seen: set[str] = set()
    for part in parts:
        custom_id = part.get("custom_id")
        if custom_id in seen:
            form.wrong(
                "components",
                "COMPONENT_CUSTOM_ID_DUPLICATED",
                "Component custom id cannot be duplicated",
            )
        if custom_id is not None:
            seen.add(custom_id)


def check_modal(form: Form, modal: JsonObject) -> None:
    """Check the data of a modal callback."""
    form.text("data.custom_id", modal.get("custom_id"), least=1, most=100)
    form.text("data.title", modal.get("title"), least=1, most=45)
    components = modal.get("components")
    if not isinstance(components, list) or not 1 <= len(components) <= 5:
        form.wrong("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
        return
    for index, part in enumerate(components):
        _check_modal_part(form, part, f"data.components.{index}")
    _check_unique(form, walk(components))


def _check_modal_part(form: Form, part: JsonObject, path: str) -> None:
    kind = part.get("type")
    if kind == TEXT_DISPLAY:
        return
    if kind == LABEL:
        form.text(f"{path}.label", part.get("label"), least=1, most=45)
        form.text(f"{path}.description", part.get("description"), most=100, required=False)
        child, where = part.get("component"), f"{path}.component"
    elif kind == ROW:
        children = part.get("components") or []
        child, where = (children[0] if len(children) == 1 else None), f"{path}.components.0"
    else:
        form.choices(f"{path}.type", "(1, 10, 18)")
        return
    if not isinstance(child, dict):
        form.required(where)
    elif child.get("type") == TEXT_INPUT:
        _check_text_input(form, child, where, labelled=kind == LABEL)
    elif kind == LABEL and child.get("type") in SELECTS:
        _check_select(form, child, where)
    else:
        form.choices(f"{where}.type", "(4,)")


def _check_text_input(form: Form, part: JsonObject, path: str, *, labelled: bool) -> None:
    form.text(f"{path}.custom_id", part.get("custom_id"), least=1, most=100)
    if not labelled:
        form.text(f"{path}.label", part.get("label"), least=1, most=45)
    if part.get("style") not in {1, 2}:
        form.choices(f"{path}.style", "(1, 2)")
    form.text(f"{path}.placeholder", part.get("placeholder"), most=100, required=False)
    most = part.get("max_length") or 4000
    if not 1 <= most <= 4000:
        form.wrong(f"{path}.max_length", "NUMBER_TYPE_MAX", "Must be between 1 and 4000.")
    form.text(f"{path}.value", part.get("value"), most=most, required=False)
