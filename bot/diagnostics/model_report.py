"""Which model answers, and how fast it has been: what ``/diag model`` says and draws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bot.core.permissions import listed
from bot.core.wording import counted
from bot.idle.introductions import Acquaintance
from bot.idle.warm import Cost
from bot.ops.history import DAY, HOUR, WEEK, Figures, History, Table, percentile, total

NO_LIBRARY: Final = (
    "For a chart, whoever runs me installs matplotlib where I run: "
    '`.venv/bin/pip install ".[charts]"` in the clone.'
)
_THINKING: Final = {
    "apart": "It thinks before it answers, and sends that apart from the answer.",
    "tagged": "It writes its thinking into its answers, between tags; I leave that out.",
    "untagged": "It writes its thinking into its answers, without an opening tag; I leave that out.",
    "none": "It answered a short question without thinking.",
}

NO_QUESTIONS: Final = "No question ended in {title}, so there is no chart of it."
NO_CHART: Final = "The chart couldn't be drawn in time; the figures above are complete."


@dataclass(frozen=True, slots=True)
class Range:
    """What a chart can show.

    Attributes:
        table: Where its figures are.
        title: In words.
        unit: Of the time axis.
    """

    table: Table
    title: str
    unit: timedelta
    unit_name: str


RANGES: Final = {
    "hour": Range(HOUR, "the last hour", timedelta(minutes=1), "minutes"),
    "day": Range(DAY, "the last 24 hours", timedelta(hours=1), "hours"),
    "week": Range(WEEK, "the last 8 days", timedelta(days=1), "days"),
}


def has_figures(history: History, model: str | None) -> bool:
    """Return whether there is anything to show."""
    return any(part(model).questions for part in (history.today, history.week_before))


def acquaintance_text(known: Acquaintance | None) -> str:
    """Return what the bot's own questions have told of a model, as lines; empty for nothing."""
    if known is None:
        return ""
    learned = known.experience
    pace = [
        *([f"reads about {learned.reads:.0f} tokens/s"] if learned.reads else []),
        *([f"writes about {known.writes:.0f} tokens/s"] if known.writes else []),
        *([f"took {_seconds(learned.load_s)} to load"] if learned.load_s else []),
    ]
    lines = [
        _thinking_text(known),
        _effort_text(known),
        f"It {listed(pace)}." if pace else "",
        f"Its template adds about {counted(known.overhead_tokens, 'token')} to a prompt."
        if known.overhead_tokens
        else "",
    ]
    return "\n".join(filter(None, lines))


def _thinking_text(known: Acquaintance) -> str:
    said = _THINKING.get(known.thinking, "")
    if known.thinking == "apart" and known.experience.reasoning_field:
        return f"{said[:-1]}, in `{known.experience.reasoning_field}`."
    return said


def _effort_text(known: Acquaintance) -> str:
    if "reasoning_effort" in known.experience.refused:
        return "It refused the setting for how much it thinks; I leave that out."
    return "It takes the setting for how much it thinks." if known.experience.takes_effort else ""


def read_ahead_text(cost: Cost) -> str:
    """Return what reading ahead has cost since the start, as a line; empty for nothing."""
    if not cost.tokens:
        return ""
    vain = f", {cost.in_vain:,} of them for questions that never came" if cost.in_vain else ""
    return f"Since my start it read {counted(cost.tokens, 'token')} before anybody asked{vain}."


def history_text(history: History, model: str | None) -> str:
    """Return today's figures against those of the week before, a line each.

    Args:
        history: How it has been.
        model: Of this model only.
    """
    if not has_figures(history, model):
        to_it = " to this model" if model is not None else ""
        return f"No question{to_it} has ended in the last 8 days, so there are no figures yet."
    today, before = history.today(model), history.week_before(model)
    head = "**Last 24 hours**"
    if before.questions:
        head += " (the 7 days before them in brackets)"
    pairs = (
        ("Questions", _questions(today), _questions(before)),
        ("First word", _within(today.first_words), _within(before.first_words)),
        ("Speed", _speed(today), _speed(before)),
        ("Time in line", _within(today.waits), _within(before.waits)),
    )
    lines = [
        f"- {name}: {of_today or 'unknown'}" + (f" ({of_before})" if of_before else "")
        for name, of_today, of_before in pairs
        if of_today or of_before
    ]
    return "\n".join([head, *lines])


def in_words(history: History, shown: Range, model: str | None) -> str:
    """Return a chart's figures as a sentence, for people who can't see it; 1024 characters at most."""
    figures = total(history.over(shown.table, model))
    parts = [f"Chart of {shown.title}: {_questions(figures) or 'no questions'}"]
    if first := _within(figures.first_words):
        parts.append(f"first word {first}")
    if speed := _speed(figures):
        parts.append(speed)
    if waits := _within(figures.waits):
        parts.append(f"in line {waits}")
    return ", ".join(parts) + "."


def drawing(history: History, shown: Range, model: str | None) -> dict[str, object]:
    """Return what the process that draws needs: numbers and our own words; empty for no questions."""
    buckets = history.over(shown.table, model)
    if not total(buckets).questions:
        return {}
    width = shown.table.width / shown.unit
    return {
        "title": shown.title,
        "unit": shown.unit_name,
        "width": width,
        "ago": [(index - len(buckets) + 0.5) * width for index in range(len(buckets))],
        "answered": [each.questions - each.failed for each in buckets],
        "failed": [each.failed for each in buckets],
        "tokens_per_s": [each.tokens_per_s for each in buckets],
        "first_word": [percentile(each.first_words, 0.5) for each in buckets],
        "first_word_95": [percentile(each.first_words, 0.95) for each in buckets],
        "wait": [percentile(each.waits, 0.5) for each in buckets],
        "wait_95": [percentile(each.waits, 0.95) for each in buckets],
    }


def _questions(figures: Figures) -> str:
    if not figures.questions:
        return ""
    failed = f", {figures.failed} of them failed" if figures.failed else ", none failed"
    return counted(figures.questions, "question") + failed


def _within(cells: list[int]) -> str:
    half_s, most_s = percentile(cells, 0.5), percentile(cells, 0.95)
    if half_s is None or most_s is None:
        return ""
    if most_s < 0.1:
        return "at once"
    return f"half within {_seconds(half_s)}, 95 % within {_seconds(most_s)}"


def _speed(figures: Figures) -> str:
    speed = figures.tokens_per_s
    return "" if speed is None else f"{speed:.{0 if speed >= 10 else 1}f} tokens/s"


def _seconds(seconds: float) -> str:
    return f"{seconds:.{0 if seconds >= 10 else 1}f} s"
