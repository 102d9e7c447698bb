"""What a small model writes is no summary where it is a loop, a refusal or about something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.prompt.likeness import is_like

SAID = {
    "English": "Ada: How long does sourdough bread take?\nClawbot: About 24 hours. Mix flour, water and "
    "salt, let the dough rest overnight in the fridge, then bake it at 240 degrees.\nAda: I have no "
    "fridge. What now?\nClawbot: Use less starter and keep the dough in the cellar.",
    "German": "Ada: Wie lange braucht ein Sauerteigbrot?\nClawbot: Ungefähr 24 Stunden. Mehl, Wasser und "
    "Salz mischen, den Teig über Nacht ruhen lassen und bei 240 Grad backen.\nAda: Ich habe keinen "
    "Kühlschrank.\nClawbot: Dann nimm weniger Anstellgut und stelle den Teig in den Keller.",
    "Chinese": "小明:酸面包要做多久?\n机器人:大约二十四小时。先把面粉、水和盐混合,让面团在冰箱里过夜,"
    "然后用二百四十度烤。\n小明:我没有冰箱。\n机器人:少放一点酵种,把面团放在地下室。",
}
GOOD = {
    "English": "Ada asked how long sourdough takes and was told about 24 hours, baked at 240 degrees. Having "
    "no fridge, she was advised to use less starter and a cellar.",
    "German": "Ada wollte wissen, wie lange Sauerteigbrote brauchen: etwa 24 Stunden bei 240 Grad. Ohne "
    "Kühlschrank soll sie weniger Anstellgut nehmen und den Keller nutzen.",
    "Chinese": "小明问酸面包要多久,回答是二十四小时,二百四十度烤。他没有冰箱,建议少放酵种,放在地下室。",
}


@pytest.mark.parametrize("language", SAID)
def test_a_summary_of_what_was_said_is_one(language: str) -> None:
    assert is_like(GOOD[language], SAID[language])


@pytest.mark.parametrize("language", SAID)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "....... !!! ------- ???????????",
        "I apologise, however I cannot assist with this request as an artificial intelligence.",
        "Ada asked for bread. " * 12,
        "Разговор идёт о хлебе на закваске, который пекут двадцать четыре часа.",
        "Photosynthesis converts sunlight into chemical energy within plant chloroplasts.",
    ],
)
def test_a_loop_a_refusal_and_other_matters_are_none(text: str, language: str) -> None:
    assert not is_like(text, SAID[language])


@given(st.text(), st.text())
def test_whatever_was_written_is_judged(text: str, said: str) -> None:
    assert is_like(text, said) in {True, False}
