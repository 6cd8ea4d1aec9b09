"""Which encoding bytes are in that are not UTF-8: the one under which they read most like some language.

    Σ over characters of log p(character | language)        for each encoding and each language that it is used for

p is a share of the language's texts, dealt alike among the characters of each class: its frequent ones, its others, its
marks, and whatever else there is. Characters of ASCII count alike everywhere, so that an encoding which reads half of a
character as a letter gains nothing by it; a letter of another script that stands alone among them says little.
"""

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

__all__ = ["Reading", "codec", "is_sure", "likely"]

HANZI: Final = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么"
    "去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又"
    "关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通"
    "教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市"
    "直资命山金指许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该"
)
HANZI_OLD: Final = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經麼"
    "去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又"
    "關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西月話合回特代內信表化老給世位次度門任常先海通"
    "教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市"
)
KANJI: Final = (
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手米力学"
    "問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公野協取都和統以機"
    "平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書府活原先共得解名交資予川向際査勝面委告軍文"
)
HANGUL: Final = (
    "이다의는에을가고하지한로기를도사은자리어아시나인그대스수정서라보일들만해제부구상과으원전장비주오여년것게면있성없적동조안거미세중신"
    "소국공학업용화재유식방연무관경계개체러었마했음드치물발요니습입력택올든모양생실선문건간진때른두위된되던할려야저노호회"
)
MARKS_EAST: Final = "，。、：；！？（）「」『』《》〈〉【】“”‘’…—～·・ー　％￥"
QUOTES: Final = "‘’“”«»–…"
SIGNS: Final = "°²³µ±"
MARKS: Final = "\u00a0„‚—€§·•£¥¢©®™½¼¾×÷¹†‡¬¦¶"
HIRAGANA: Final = "".join(map(chr, range(0x3041, 0x3094)))
KATAKANA: Final = "".join(map(chr, range(0x30A1, 0x30F7)))

LATIN: Final = {
    "French": "éèàêçùîôâûëïœ", "German": "äöüß", "Spanish": "áéíóúñü¿¡ºª", "Portuguese": "áâãàçéêíóôõúºª",
    "Italian": "àèéìòùÈ", "Dutch": "éëïèöü", "Swedish or Finnish": "åäöé", "Danish or Norwegian": "æøåéô",
    "Icelandic": "áéíóúýþæöð", "Polish": "ąćęłńóśźż", "Czech or Slovak": "áčďéěíňóřšťúůýžäôĺľŕ",
    "Hungarian": "áéíóöőúüű",
    "Romanian": "ăâîşţ", "Croatian or Slovenian": "čćđšž", "Turkish": "çğıöşüİâ", "Lithuanian": "ąčęėįšųūž",
    "Latvian": "āčēģīķļņšūž", "Estonian": "äöüõšž",
}  # fmt: skip
"""Letters beyond a to z: all that tells these languages' encodings apart."""

_WEST: Final = (
    "English", "units", "prices", "French", "German", "Spanish", "Portuguese", "Italian", "Dutch", "Swedish or Finnish",
    "Danish or Norwegian", "Icelandic",
)  # fmt: skip
_MIDDLE: Final = ("Polish", "Czech or Slovak", "Hungarian", "Romanian", "Croatian or Slovenian")

SIGNED: Final = {"English": QUOTES, "units": SIGNS, "prices": "€£"}
"""Where little more than signs stands beyond ASCII."""

ACCENTED: Final = "áéíóúàèìòùâêîôûäëïöüñçåæøß"

LETTERS: Final = {
    "Russian": "абвгдежзийклмнопрстуфхцчшщъыьэюяё", "Ukrainian": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
    "Bulgarian": "абвгдежзийклмнопрстуфхцчшщъьюя", "Belarusian": "абвгдеёжзійклмнопрстуўфхцчшыьэюя",
    "Serbian or Macedonian": "абвгдђежзијклљмнњопрстћуфхцчџшѓѕќ", "Greek": "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊ",
    "Hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת", "Arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويةىأإآءئؤ،",
    "Persian": "ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهيیئءآ\u200c",
    "Thai": "".join(map(chr, [*range(0x0E01, 0x0E3B), *range(0x0E40, 0x0E4F)])),
}  # fmt: skip

_CYRILLIC: Final = ("Russian", "Ukrainian", "Bulgarian", "Belarusian", "Serbian or Macedonian")

USED: Final[dict[str, tuple[str, ...]]] = {
    "latin-1": _WEST, "windows-1252": _WEST, "gb18030": ("Chinese",), "big5-hkscs": ("traditional Chinese",),
    "cp932": ("Japanese",), "euc-jp": ("Japanese",), "cp949": ("Korean",), "windows-1251": _CYRILLIC,
    "koi8-r": ("Russian", "Bulgarian"), "koi8-u": ("Ukrainian",), "iso-8859-5": _CYRILLIC,
    "cp866": ("Russian", "Bulgarian"), "windows-1253": ("Greek",), "iso-8859-7": ("Greek",),
    "windows-1255": ("Hebrew",), "windows-1256": ("Arabic", "Persian"), "cp874": ("Thai",),
    "windows-1250": _MIDDLE, "iso-8859-2": _MIDDLE, "windows-1254": ("Turkish",),
    "windows-1257": ("Lithuanian", "Latvian", "Estonian"), "iso-8859-15": _WEST, "cp850": _WEST, "mac-roman": _WEST,
    "cp852": _MIDDLE,
}  # fmt: skip
"""Of several that read the bytes alike the first is named. gb18030 holds GBK, cp932 Shift-JIS, cp949 EUC-KR."""

SUPERSETS: Final = {
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
"""What is named so is mostly in these, as browsers take it."""

RARE: Final = ("iso-8859-15", "cp850", "mac-roman", "cp852")
PRIOR: Final = {"latin-1": 6.0, "windows-1252": 6.0} | dict.fromkeys(RARE, -6.0)
"""Nats: a single `é` is western, and DOS and old Macs are rare."""

SURE: Final = 3.0
"""Nats: twenty times as likely as what else the bytes may say."""

REST: Final = 0.001
"""Of a language's texts, what is none of its characters: names of others, pictures, slips."""
REST_CHARS: Final = 20_000
BROKEN: Final = -30.0
"""Nats."""
ALONE: Final = -5.0
"""Nats; few words have one letter."""
STRANGE_MAX: Final = 0.2
"""Of the characters, what may be none of the language's."""
ASCII: Final = math.log(1 / 64)


@dataclass(frozen=True, slots=True)
class Reading:
    """`text`: what the bytes say in this encoding; `score`: its log likelihood in the language that it is likest to;
    `strange`: the share of characters that this does not have."""

    encoding: str
    text: str
    score: float
    strange: float


def likely(data: bytes) -> list[Reading]:
    """The readings of bytes that may break off within a character, the likeliest first; each says something else.

    What stands there several times counts once: a unit in each line says no more than in one.
    """
    words = dict.fromkeys(_APART.split(data))
    data = b" ".join(words)
    found: dict[str, Reading] = {}
    for encoding, languages in USED.items():
        text = data.decode(encoding, "replace")
        score, strange = max(_judged(text, languages))
        score += PRIOR.get(encoding, 0.0)
        if text not in found or score > found[text].score:
            found[text] = Reading(found[text].encoding if text in found else encoding, text, score, -strange)
    return sorted(found.values(), key=lambda each: -each.score)


def is_sure(readings: Sequence[Reading]) -> bool:
    """Whether the first is far ahead of the others, and a language at all."""
    return readings[0].strange <= STRANGE_MAX and readings[0].score - readings[1].score >= SURE


def codec(name: str) -> str | None:
    """Python's name of the encoding of texts that is called so, or of what holds all of it; None when there is none."""
    try:
        found = codecs.lookup(name.strip())
        "".encode(found.name)  # Python lists some codecs that make no texts
    except (LookupError, ValueError, UnicodeError):
        return None
    return None if found.name in _NO_ENCODINGS else SUPERSETS.get(found.name, found.name)


_NO_ENCODINGS: Final = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Ways to write names and strings, not files."""


def _judged(text: str, languages: Iterable[str]) -> Iterable[tuple[float, float]]:
    """For each language the log likelihood, and less the share of characters that it does not have."""
    counts, alone = Counter(text), Counter(_ALONE.findall(text))
    ascii_count = sum(count for char, count in counts.items() if char < "\x80")
    beyond = {char: count for char, count in counts.items() if char >= "\x80"}
    rest, letters = math.log(REST / REST_CHARS), max(sum(beyond.values()), 1)
    for language in languages:
        model = _model(language)
        score = ascii_count * ASCII
        score += sum(n * (BROKEN if char == "\ufffd" else model.get(char, rest)) for char, n in beyond.items())
        if language in LETTERS:
            score += ALONE * sum(n for char, n in alone.items() if char.isalpha())
        yield score, -sum(n for char, n in beyond.items() if char not in model) / letters


_APART: Final = re.compile(rb"[\x00-\x2f]+")
"""No encoding has these as a part of another character."""
_ALONE: Final = re.compile(r"(?<![^\x00-\x7f])[^\x00-\x7f](?![^\x00-\x7f])")


@cache
def _model(language: str) -> Mapping[str, float]:
    """log p of each character beyond ASCII."""
    model: dict[str, float] = {}
    for share, chars in _classes(language):
        fresh = set(chars) - model.keys()
        model.update(dict.fromkeys(fresh, math.log(share / max(len(fresh), 1))))
    return model


def _classes(language: str) -> Iterable[tuple[float, Iterable[str]]]:
    """Shares, and the characters of each that are in none before."""
    if language in SIGNED:
        return (0.75, SIGNED[language]), (0.2, QUOTES + SIGNS + MARKS), (0.04, ACCENTED)
    if language in LATIN:
        small = LATIN[language]
        return (0.8, small), (0.06, small.upper()), (0.1, QUOTES), (0.03, SIGNS + MARKS), (0.01, ACCENTED)
    if language in LETTERS:
        small = LETTERS[language]
        return (0.9, small), (0.06, small.upper()), (0.03, QUOTES + SIGNS + MARKS + "№Ά")
    eastern = (0.07, MARKS_EAST)
    match language:
        case "Japanese":
            kana, frequent, rare = ((0.5, HIRAGANA), (0.15, KATAKANA)), (0.2, KANJI), _block("cp932", 0x99, 0xEA)
            return *kana, frequent, eastern, (0.07, _block("cp932", 0x88, 0x98)), (0.005, rare)
        case "Korean":
            return (0.6, HANGUL), (0.35, _block("cp949", 0xB0, 0xC8)), (0.03, MARKS_EAST + QUOTES)
        case "Chinese":
            return (0.6, HANZI), (0.3, _block("gb2312", 0xB0, 0xD7)), eastern, (0.02, _block("gb2312", 0xD8, 0xF7))
        case _:
            return (0.6, HANZI_OLD), (0.3, _block("big5", 0xA4, 0xC6)), eastern, (0.02, _block("big5", 0xC9, 0xF9))


def _block(encoding: str, first: int, last: int) -> Iterable[str]:
    """The characters of two bytes whose first is one of these."""
    pairs = (bytes((lead, trail)) for lead in range(first, last + 1) for trail in range(0x40, 0xFF))
    return [char for pair in pairs if len(char := pair.decode(encoding, "ignore")) == 1 and char > "\x7f"]
