"""The months in the languages of Europe, as dates spell them: whole, or as their first letters."""

import unicodedata
from functools import cache
from typing import Final

_NAMES: Final = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "jänner feber mrz . . . . . . . . .",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
    ". . mrt . . . . . . . . .",
    "januari februari mars april maj juni juli augusti september oktober november december",
    "januar februar marts april maj juni juli august september oktober november desember",
    "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
)
"""English, German, Austrian and in tables, French, Spanish, Italian, Portuguese, Dutch and short, Swedish, Danish and
Norwegian, Polish, Russian, Turkish. No word of one is another month in another; `listopad` of Croatian is left out."""

_LETTERS_MIN: Final = 3


def month_of(name: str) -> int:
    """1 to 12. Raises `ValueError` where the word is no month, or the beginning of several, as `jui`."""
    month = _months().get(_bare(name.rstrip(".")))
    if month is None:
        raise ValueError(name)
    return month


@cache
def _months() -> dict[str, int]:
    """Every beginning that is of one month alone, and every whole name."""
    beginnings: dict[str, set[int]] = {}
    for names in _NAMES:
        for month, name in enumerate(names.split(), 1):
            bare = _bare(name)
            for end in range(_LETTERS_MIN, len(bare) + 1):
                beginnings.setdefault(bare[:end], set()).add(month)
    return {letters: min(months) for letters, months in beginnings.items() if len(months) == 1}


def _bare(name: str) -> str:
    """Without case and accents."""
    return "".join(each for each in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(each))
