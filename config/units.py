"""Units that people write behind numbers, and words for yes and no, in the languages that Discord has."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from config import names
from config.names import Target

_MILLISECONDS: Final = """
    ms msec millisecond milliseconds millisekunde millisekunden milliseconde millisecondes milliseconden
    milisegundo milisegundos millisecondo millisecondi millisekund millisekunder мс 毫秒 ミリ秒 밀리초
"""
_SECONDS: Final = """
    s sec secs second seconds sek sekunde sekunden seconde secondes seg segundo segundos secondo secondi
    seconden sekund sekunder sekunda sekundy sekundi secundă secunde sekunti sekuntia sekundė sekundės
    sekundžių másodperc mp saniye sn detik giây δευτερόλεπτο δευτερόλεπτα с сек секунда секунды секунд
    секунди सेकंड सेकेंड วินาที 秒 秒钟 秒鐘 초
"""
_MINUTES: Final = """
    m min mins minute minutes minuten minuto minutos minuti minuut minut minuter minutt minutter
    minuta minuty minută minuutti minuuttia minutė minutės minučių perc dakika dk menit phút λεπτό λεπτά мин
    минута минуты минут минути хв хвилина хвилини хвилин मिनट นาที 分 分钟 分鐘 分間 분
"""
_HOURS: Final = """
    h hr hrs hour hours std stunde stunden heure heures hora horas ora ore oră uur uren time timer timme timmar
    godz godzina godziny godzin hod hodina hodiny hodin sat sata sati tunti tuntia valanda valandos valandų óra
    saat jam giờ ώρα ώρες ч час часа часов година години годин घंटा घंटे ชั่วโมง 小时 小時 時間 시간
"""
_DAYS: Final = """
    d day days tag tage tagen jour jours día días dia dias giorno giorni zi zile dag dagen dage dager dagar døgn
    dygn dzień dni den dny dní dnů dan dana päivä päivää diena dienos dienų nap gün hari ngày ημέρα ημέρες μέρα
    μέρες день дня дней дні днів ден дена दिन วัน 天 日 일
"""
_BYTES: Final = (
    ("b byte bytes o octet octets байт", 1),
    ("k kb kib ko kilobyte kilobytes кб", 1024),
    ("m mb mib mo megabyte megabytes мб", 1024**2),
    ("g gb gib go gigabyte gigabytes гб", 1024**3),
)
_YES: Final = """
    1 true yes y on enable enabled ja jo jep an ein aan aktiviert oui vrai activé marche sí si activado encendido
    verdadero sì vero attivo attivato acceso sim ligado ativado ativo ingeschakeld til tændt på kyllä joo
    päällä tak włączone włączony wł ano zapnuto zap igen be bekapcsolva da pornit activat uključeno taip įjungta có
    vâng bật evet açık aktif ναι ενεργό ανοιχτό да вкл включено включен так увімк увімкнено हाँ हां चालू ใช่ เปิด ya
    hidup nyala 是 对 對 开 開 打开 開啟 启用 啟用 はい オン 有効 네 예 켜기 켬 켜짐
"""
_NO: Final = """
    0 false no n off disable disabled nein nee nej nei aus uit deaktiviert non faux désactivé arrêt desactivado
    apagado falso disattivo disattivato spento não desligado desativado inativo uitgeschakeld fra slukket av ei pois
    nie wyłączone wyłączony wył ne vypnuto vyp nem ki kikapcsolva nu oprit dezactivat isključeno išjungta không tắt
    hayır kapalı όχι ανενεργό κλειστό нет выкл выключено выключен ні вимк вимкнено не изкл изключено नहीं बंद ไม่ ไม่ใช่
    ปิด tidak mati nonaktif 否 不 不是 关 關 关闭 關閉 禁用 停用 いいえ オフ 無効 아니요 아니오 아뇨 끄기 끔 꺼짐
"""


def _table(*rows: tuple[str, str | int]) -> Mapping[str, Decimal]:
    return MappingProxyType(
        {word.casefold(): Decimal(factor) for words, factor in rows for word in words.split()}
    )


DURATIONS: Final = _table(
    (_MILLISECONDS, "0.001"), (_SECONDS, 1), (_MINUTES, 60), (_HOURS, 3600), (_DAYS, 86_400)
)
"""Words for durations, in seconds. A word that means different ones in two languages isn't here."""
SIZES: Final = _table(*_BYTES)
"""Words for sizes, in bytes; as people say them, a kilobyte has 1024."""


def _plain(word: str) -> str:
    """Return a word as it is compared: Turkish has an i without a dot, which capitals don't tell apart."""
    return unicodedata.normalize("NFKC", word).casefold().replace("ı", "i")


SWITCHES: Final = MappingProxyType(
    {_plain(word): word in _YES.split() for word in [*_YES.split(), *_NO.split()]}
)
"""Words for yes and no, on and off."""


def switch(text: str) -> bool | None:
    """Return what a word for yes or no means; ``None`` for any other."""
    return SWITCHES.get(_plain(text.strip(" `.!")))


def of(target: Target) -> dict[str, tuple[Decimal, ...]]:
    """Return the units that may stand behind a number, each with what it may mean as a factor."""
    found = _of_its_kind(target)
    if found is not None:
        return {unit: (factor,) for unit, factor in found.items()}
    noun = target.field.rpartition("_")[2]
    own = {noun, noun.removesuffix("s")}
    own |= {f"/{noun}", "/min"} if "_per_" in target.field else set()
    plain = dict.fromkeys(own, (Decimal(1),))
    return {"k": (Decimal(1000),), **plain, "%": _percent(target)}


def _of_its_kind(target: Target) -> dict[str, Decimal] | None:
    """Return the units of a duration or a size, as factors of the field's own; ``None`` of other numbers."""
    field = target.field
    if field.endswith("_ms"):
        return {unit: seconds * 1000 for unit, seconds in DURATIONS.items()}
    if field.endswith("_s"):
        return dict(DURATIONS)
    if field.endswith("_bytes"):
        return dict(SIZES)
    if field.endswith("_gib"):
        return {unit: size / 1024**3 for unit, size in SIZES.items()}
    return None


def _percent(target: Target) -> tuple[Decimal, ...]:
    """Return what a percent may mean: a hundredth of one, or of the most that is allowed."""
    most = names.bounds(target.info.metadata).get("le")
    if names.kind(target) is not float or most is None:
        return ()
    return tuple(dict.fromkeys((Decimal("0.01"), Decimal(most) / 100)))


def in_words(target: Target) -> str:
    """Say which units may stand behind a number, beside the field's own."""
    if target.field.endswith(("_ms", "_s")):
        return "; s, min, h and d may stand behind it"
    return "; KB, MB and GB may stand behind it" if target.field.endswith("_bytes") else ""
