"""What people write where they have no value, and beside amounts."""

from typing import Final

SPELLINGS: Final = frozenset(
    {"?", "na", "n/a", "#n/a", "nan", "null", "none", "-", "--", ".", "nat", "<na>", "\\n", "nil", "#null!"}
)
"""What people write for "no value here", in lower case."""

SURE_SPELLINGS: Final = frozenset({"?", "n/a", "#n/a", "nan", "null", "nat", "<na>", "\\n", "#null!"})
"""Those that are no plausible label: in a target, `none` and `-` may be answers."""

AMONG_AMOUNTS: Final = SPELLINGS | {
    *("n.a.", "n.a", "n.d.", "n.d", "n/d", "nd", "n/k", "unk", "unknown", "not known", "missing", "not available"),
    *("unavailable", "undefined", "no data", "nodata", "(null)", "[null]", "(blank)", "(missing)", "(unknown)", "tbd"),
    *("#ref!", "#div/0!", "#value!", "#name?", "#num!", "#n/a n/a", "1.#qnan", "-1.#ind", "1.#ind"),
    *("..", "...", "\u2026", "\u2013", "\u2014", "\u2015", "\u2212", "---", "*", "**", ":", "??", "???"),
    *("k.a.", "k. a.", "k.a", "unbekannt", "fehlt", "keine angabe", "s/d", "s.d.", "sin dato", "sin datos"),
    *(
        "desconocido",
        "inconnu",
        "nc",
        "n.c.",
        "sconosciuto",
        "desconhecido",
        "onbekend",
        "ok\u00e4nd",
        "ukendt",
        "ukjent",
        "brak",
    ),
    *("н/д", "нет данных", "неизвестно", "不明", "未知", "无", "無", "なし", "없음"),
}
"""What means the same in a column that holds numbers or times otherwise; in one of words it may be a word."""

UNITS: Final = frozenset(
    "kg g mg lb lbs oz m cm mm km mi ft in s ms min h hr hrs d yr yrs years months days C F °C °F mph km/h kWh kW W V"  # noqa: SIM905 one line a person can read
    " Hz kHz MHz GHz GB MB KB TB kB px hp bhp cc l ml L".split()
)
MONEY: Final = frozenset(
    "USD EUR GBP CHF $ € £ ¥ ₹ % ‰ US$ A$ AU$ C$ CA$ NZ$ HK$ S$ NT$ R$ AUD CAD NZD HKD SGD JPY CNY RMB INR KRW THB IDR"  # noqa: SIM905 one line a person can read
    " BRL MXN ZAR TRY RUB PLN CZK HUF RON SEK NOK DKK ISK Rs Rs. Rp RM kr kr. Kč zł Ft lei лв ₽ руб руб. ₩ ₪ ₫ ₺ ฿ ₴"
    " ₦ ₱ 元 円 원 Fr. SFr.".split()
)
BEFORE: Final = MONEY
"""Units that may stand before the number; of others `m2`, `C7` and `g12` are names."""

BESIDE: Final = UNITS | MONEY | {"dollars"}
