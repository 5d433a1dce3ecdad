r"""Units of measure: their names, what they measure, and how they convert.

Owns the table of units and reading a unit that stands behind a number ("km", "square metres", "m/s^2", "miles per
hour"). Two units are comparable when they have one dimension; only then is one vote for "1.5 km" and "1500 m".
What people count (apples, points) is no unit. Must not know numbers, nor which number of a text is the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from dynscale_cli.answers.normalize import TEXT_GROUP, word_set

Dimension = tuple[tuple[str, int], ...]  # (("length", 1), ("time", -1)): metres per second

# symbol = value in terms of other units (| where the name has two meanings): other names, _ for a space or hyphen.
# Money, eras, percent and temperatures convert to nothing else.
_TABLE = """
m = 1 length: metre metres meter meters mètre mètres metro metros 米 公尺
km = 1000 m: kilometre kilometres kilometer kilometers kilomètre kilomètres kilómetro kilómetros kms 公里 千米
dm = 1/10 m: decimetre decimetres decimeter decimeters
cm = 1/100 m: centimetre centimetres centimeter centimeters zentimeter centimètres centímetros cms 厘米
mm = 1/1000 m: millimetre millimetres millimeter millimeters 毫米
µm = 1/1000000 m: μm micrometre micrometres micrometer micrometers micron microns
nm = 1/1000000000 m: nanometre nanometres nanometer nanometers
in = 254/10000 m: inch inches
ft = 3048/10000 m: foot feet
yd = 9144/10000 m: yard yards yds
mi = 1609344/1000 m: mile miles
nmi = 1852 m: nautical_mile nautical_miles
ly = 9460730472580800 m: light_year light_years lightyear lightyears
au = 149597870700 m: AU astronomical_unit astronomical_units
g = 1 mass: gram grams gramme grammes gramm gramo gramos 克
kg = 1000 g: kilogram kilograms kilogramme kilogrammes kilogramm kilo kilos kgs 公斤 千克
mg = 1/1000 g: milligram milligrams 毫克
µg = 1/1000000 g: μg mcg microgram micrograms
t = 1000000 g: tonne tonnes metric_ton metric_tons 吨
lb = 45359237/100000 g: lbs
oz = 28349523125/1000000000 g: ounce ounces
st = 635029318/100000 g: stone stones
s = 1 time: sec secs second seconds sekunde sekunden seconde secondes segundo segundos 秒
ms = 1/1000 s: msec millisecond milliseconds 毫秒
µs = 1/1000000 s: μs microsecond microseconds
ns = 1/1000000000 s: nanosecond nanoseconds
min = 60 s: mins minute minutes minuten minuto minutos 分钟 分鐘
h = 3600 s: hr hrs hour hours stunde stunden std heure heures hora horas ora ore 小时 小時
d = 86400 s: day days tag tage tagen jour jours día días 天
wk = 604800 s: wks week weeks woche wochen semaine semaines semana semanas 周
mo = 1 month: mos month months monat monate mois mes meses 个月
yr = 12 mo: yrs year years year_old years_old jahr jahre jahren ans année années año años 年
decade = 120 mo: decades
century = 1200 mo: centuries
L = 1/1000 m^3: l liter liters litre litres litro litros 升
ml = 1/1000000 m^3: mL milliliter milliliters millilitre millilitres cc 毫升
cl = 1/100000 m^3: cL centiliter centiliters centilitre centilitres
dl = 1/10000 m^3: dL deciliter deciliters decilitre decilitres
kl = 1 m^3: kL kiloliter kiloliters kilolitre kilolitres
gal = 3785411784/1000000000000 m^3: gallon gallons gals
qt = 946352946/1000000000000 m^3: quart quarts qts
pint = 473176473/1000000000000 m^3: pints
cup = 2365882365/10000000000000 m^3: cups
floz = 295735295625/10000000000000000 m^3: fluid_ounce fluid_ounces fl_oz
tbsp = 1478676478125/100000000000000000 m^3: tablespoon tablespoons tbsps
tsp = 492892159375/100000000000000000 m^3: teaspoon teaspoons tsps
ha = 10000 m^2: hectare hectares
acre = 40468564224/10000000 m^2: acres ac
N = 1000 g m s^-2: newton newtons
kN = 1000 N: kilonewton kilonewtons
J = 1 N m: joule joules
kJ = 1000 J: kilojoule kilojoules
MJ = 1000000 J: megajoule megajoules
cal = 4184/1000 J: calorie calories
kcal = 4184 J: kilocalorie kilocalories Cal
eV = 1602176634/10000000000000000000000000000 J: electronvolt electronvolts
keV = 1000 eV: kiloelectronvolt
MeV = 1000000 eV: megaelectronvolt
GeV = 1000000000 eV:
W = 1 J s^-1: watt watts
kW = 1000 W: kilowatt kilowatts
MW = 1000000 W: megawatt megawatts
GW = 1000000000 W: gigawatt gigawatts
mW = 1/1000 W: milliwatt milliwatts
hp = 745699872/1000000 W: horsepower
Wh = 3600 J: watt_hour watt_hours
kWh = 3600000 J: kilowatt_hour kilowatt_hours kwh
MWh = 3600000000 J: megawatt_hour megawatt_hours
Pa = 1 N m^-2: pascal pascals
hPa = 100 Pa: hectopascal
kPa = 1000 Pa: kilopascal kilopascals
MPa = 1000000 Pa: megapascal megapascals
bar = 100000 Pa: bars
atm = 101325 Pa: atmosphere atmospheres
psi = 6894757293168/1000000000 Pa:
mmHg = 133322387415/1000000000 Pa:
Hz = 1 frequency: hertz
kHz = 1000 Hz: kilohertz
MHz = 1000000 Hz: megahertz
GHz = 1000000000 Hz: gigahertz
rpm = 1 rpm: revolutions_per_minute
A = 1 current: amp amps ampere amperes
mA = 1/1000 A: milliamp milliamps milliampere milliamperes
µA = 1/1000000 A: μA microamp microamps
V = 1 J s^-1 A^-1: volt volts
mV = 1/1000 V: millivolt millivolts
kV = 1000 V: kilovolt kilovolts
ohm = 1 V A^-1: ohms Ω Ω
kohm = 1000 ohm: kΩ kΩ kilohm kilohms kiloohm kiloohms
coulomb = 1 A s: coulombs
farad = 1 A s V^-1: farads
µF = 1/1000000 farad: μF microfarad microfarads
tesla = 1 V s m^-2: teslas
Ah = 3600 A s: amp_hours
mAh = 1/1000 Ah: milliamp_hours
mol = 1 substance: mole moles mols
mmol = 1/1000 mol: millimole millimoles
M = 1000 mol m^-3: molar
mM = 1 mol m^-3: millimolar
K = 1 kelvin: kelvin kelvins
°C = 1 celsius: ℃ C °_C celsius centigrade degrees_celsius degree_celsius degrees_centigrade degrees_c grad_celsius
°F = 1 fahrenheit: ℉ F °_F fahrenheit degrees_fahrenheit degree_fahrenheit degrees_f
° = 1 degree: degree degrees grad deg degs
rad = 1 radian: radian radians
bit = 1 bit: bits
kbit = 1000 bit: kb kbits kilobit kilobits
Mbit = 1000000 bit: Mb Mbits megabit megabits
Gbit = 1000000000 bit: Gb Gbits gigabit gigabits
byte = 8 bit: bytes
kB = 1000 byte: KB kilobyte kilobytes
MB = 1000000 byte: megabyte megabytes
GB = 1000000000 byte: gigabyte gigabytes
TB = 1000000000000 byte: terabyte terabytes
PB = 1000000000000000 byte: petabyte petabytes
KiB = 1024 byte: kibibyte kibibytes
MiB = 1048576 byte: mebibyte mebibytes
GiB = 1073741824 byte: gibibyte gibibytes
TiB = 1099511627776 byte: tebibyte tebibytes
bps = 1 bit s^-1:
kbps = 1000 bps: Kbps
Mbps = 1000000 bps: mbps
Gbps = 1000000000 bps: gbps
mph = 1 mi h^-1:
kph = 1 km h^-1: kmh kmph
knot = 1 nmi h^-1: knots
dB = 1 decibel: db decibel decibels
px = 1 pixel: pixel pixels
% = 1 percent: percent per_cent pct percentage_points percentage_point prozent
$ = 1 dollar: USD US$ dollar dollars buck bucks us_dollars us_dollar dólares
CAD = 1 canadian: CA$ C$ canadian_dollars
AUD = 1 australian: AU$ A$ australian_dollars
HKD = 1 hongkong: HK$
NZD = 1 newzealand: NZ$
SGD = 1 singapore: S$
BRL = 1 real: R$ reais
€ = 1 euro: EUR euro euros
£ = 1 sterling: GBP pounds_sterling quid
JPY = 1 yen: yen 円 日元
CNY = 1 yuan: yuan RMB rmb renminbi 元 人民币
₹ = 1 rupee: INR rupee rupees Rs Rs.
RUB = 1 rouble: ₽ rouble roubles ruble rubles рублей рубля
KRW = 1 won: ₩
TRY = 1 lira: ₺ lira liras
ILS = 1 shekel: ₪ shekel shekels
VND = 1 dong: ₫
PHP = 1 peso: ₱
THB = 1 baht: ฿ baht
CHF = 1 franc:
pence = 1/100 £:
pound = 1 lb | 1 £: pounds
cent = 1/100 $ | 1/100 €: cents ¢
¥ = 1 JPY | 1 CNY:
ton = 1 t | 90718474/100 g: tons
BC = 1 era_before: BCE bc bce b.c. b.c.e. B.C. B.C.E. v.Chr. v._Chr. before_christ
AD = 1 era_after: CE ad ce a.d. c.e. A.D. C.E. n.Chr. n._Chr.
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """A product of units: ((symbol, exponent), …). One or more of what it may mean are its `readings`."""

    factors: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """`km`, `m/s^2`, `kg*m/s`, `s^-1`."""
        above = [_spelt(symbol, exponent) for symbol, exponent in self.factors if exponent > 0]
        if not above:
            return "*".join(_spelt(symbol, exponent) for symbol, exponent in self.factors)
        below = [_spelt(symbol, -exponent) for symbol, exponent in self.factors if exponent < 0]
        return "/".join(["*".join(above), *below])

    @property
    def symbol(self) -> str:
        """The symbol of a unit that stands alone, else the empty string."""
        return self.factors[0][0] if len(self.factors) == 1 and self.factors[0][1] == 1 else ""

    @property
    def is_letter(self) -> bool:
        """Whether its symbol could be a variable: m, s, t^2; not m^2, which is an area."""
        (symbol, exponent), *more = self.factors
        return not more and len(symbol) == 1 and symbol.isalpha() and (symbol, exponent) not in (("m", 2), ("m", 3))

    @property
    def is_money(self) -> bool:
        return self.symbol in _MONEY

    def is_rate_of(self, other: Unit) -> bool:
        """Whether it is `other` per something: `$/h` of `$`."""
        above = tuple(factor for factor in self.factors if factor[1] > 0)
        return above == other.factors != self.factors

    def readings(self) -> tuple[tuple[Dimension, Fraction], ...]:
        """(dimension, factor to its base unit) of each meaning."""
        return _readings(self)


def _spelt(symbol: str, exponent: int) -> str:
    return symbol if exponent == 1 else f"{symbol}^{exponent}"


def times(first: Unit, second: Unit, sign: int = 1) -> Unit:
    """The product of two units; with sign -1 the quotient."""
    exponents = dict(first.factors)
    for symbol, exponent in second.factors:
        exponents[symbol] = exponents.get(symbol, 0) + sign * exponent
    return Unit(tuple(sorted((symbol, exponent) for symbol, exponent in exponents.items() if exponent)))


_Meaning = tuple[Dimension, Fraction]


def _product(meanings: list[_Meaning], more: list[_Meaning], exponent: int) -> list[_Meaning]:
    found = []
    for dimension, factor in meanings:
        for other, value in more:
            exponents = dict(dimension)
            for base, power in other:
                exponents[base] = exponents.get(base, 0) + power * exponent
            kept = tuple(sorted((base, power) for base, power in exponents.items() if power))
            found.append((kept, factor * value**exponent))
    return found


def _read_table() -> tuple[dict[str, list[_Meaning]], dict[str, str]]:
    """(symbol -> meanings, name -> symbol)."""
    meanings: dict[str, list[_Meaning]] = {}
    symbols: dict[str, str] = {}
    for line in _TABLE.strip().splitlines():
        symbol, _, rest = line.partition(" = ")
        defined, _, names = rest.partition(":")
        found: list[_Meaning] = []
        for meaning in defined.split("|"):
            value, *parts = meaning.split()
            product: list[_Meaning] = [((), Fraction(value))]
            for part in parts:
                base, _, exponent = part.partition("^")
                product = _product(product, meanings.get(base, [(((base, 1),), Fraction(1))]), int(exponent or 1))
            found += product
        meanings[symbol] = found
        symbols[symbol] = symbol
        for name in names.split():
            symbols[name.replace("_", " ")] = symbols[name.replace("_", " ").rstrip(".")] = symbol
    return meanings, symbols


_MEANINGS, _SYMBOLS = _read_table()
_MONEY = word_set("$ CAD AUD HKD NZD SGD BRL € £ JPY CNY ₹ RUB KRW TRY ILS VND PHP THB CHF pence cent ¥")


@lru_cache(maxsize=1024)
def _readings(unit: Unit) -> tuple[_Meaning, ...]:
    found: list[_Meaning] = [((), Fraction(1))]
    for symbol, exponent in unit.factors:
        found = _product(found, _MEANINGS[symbol], exponent)
    return tuple(found)


# --- behind a number -------------------------------------------------------------------------------------------

_LETTER = r"[^\W\d_⁰¹²³⁴-⁹]|[°℃℉%$€£¥₹₽₩₺₪₫₱฿¢]"
_NAME = re.compile(rf"° ?[CF](?![a-z])|(?:{_LETTER})+(?:\.[A-Za-z]+)*\.?")
_MORE = re.compile(r"[ -]([A-Za-z]+)(?:[ -]([A-Za-z]+))?")
_BEFORE = re.compile(r"(?:(?P<square>square|sq\.?)|(?P<cubic>cubic|cu\.?))(?:[ -]|(?<=\.))(?=[A-Za-z])", re.IGNORECASE)
_POWER = re.compile(r"\s?(?:\^|\*\*)\s?\{?\(?\s?(-?\d)\s?\)?\}?|([⁻-]?[²³¹])|([23])(?![\d.,])|\s(squared|cubed)\b")
_RAISED = {"²": 2, "³": 3, "¹": 1, "⁻¹": -1, "⁻²": -2, "⁻³": -3, "squared": 2, "cubed": 3}
_PER = re.compile(r"\s?/\s?|\s(?:per|an?)\s|\sp/")
_TIMES = re.compile(r"\s?[·⋅*]\s?|\s(?=[A-Za-zµμΩ]+\^?\{?[-⁻])")
_SPACE = re.compile(r"[ \t]?-?(?=\S)")
# In a sentence a letter or a small word is a unit only where nothing else is said behind it.
_SHORT = word_set("m g s h d t L l N J W V A K C F in st ad ce bar cal hp")
_ENDS = re.compile(
    r"\.?(?:\s*$|\s*[,;:!?)\]}/|=≈~*^·-]|\s*\.(?:\s|$)|\s*\d|"
    r"\s(?:and|or|per|by|wide|long|tall|high|deep)\b|\s[a-z]+\^?\{?[-⁻]\d?)|\n"
)
_ODDS = re.compile(r"in \d")  # 1 in 6
# 1h30, 5ft7, 2kg300g
_SPLITS = word_set("h min d ft kg lb m")
_LENGTHS = word_set("m cm mm km ft in yd mi dm")
_CJK = re.compile(r"[\u3040-\u9fff]")


def unit_named(name: str) -> Unit | None:
    """The unit of exactly this name or symbol."""
    symbol = _SYMBOLS.get(name) or _SYMBOLS.get(name.lower())
    return None if symbol is None else Unit(((symbol, 1),))


def unit_at(text: str, start: int) -> tuple[Unit, int] | None:
    """(unit, end) of the unit that stands at `start`, behind a number and at most one space or hyphen."""
    space = _SPACE.match(text, start)
    if space is None:
        return None
    found = _atom(text, space.end())
    if found is None or (space.end() == start and text.startswith("st", start)):
        return None  # 1st is no stone
    unit, end = found
    for _ in range(4):
        per = _PER.match(text, end)
        joint = per or _TIMES.match(text, end)
        more = _atom(text, joint.end()) if joint is not None else None
        if more is None:
            break
        if per is not None and per.group().strip() in ("a", "an") and more[0].readings()[0][0] != (("time", 1),):
            break
        product = times(unit, more[0], -1 if per is not None else 1)
        if not product.factors:
            break
        unit, end = product, more[1]
    return unit, end


def _atom(text: str, start: int) -> tuple[Unit, int] | None:
    """One unit with its power: `m^2`, `square metres`, `km`."""
    before = _BEFORE.match(text, start)
    named = _named(text, before.end() if before is not None else start)
    if named is None:
        return None
    symbol, end = named
    exponent = 0 if before is None else 2 if before["square"] else 3
    power = None if exponent else _POWER.match(text, end)
    if power is not None and (power[3] is None or symbol in _LENGTHS):
        exponent = int(power[1] or power[3] or _RAISED[power[2] or power[4]])
        end = power.end()
    if text[end : end + 1].isdigit() and not (symbol in _SPLITS and exponent == 0):
        return None
    name = text[before.end() if before is not None else start : end]
    if exponent == 0 and name.rstrip(".") in _SHORT and (not _ENDS.match(text, end) or _ODDS.match(text, start)):
        return None
    return Unit(((symbol, exponent or 1),)), end


def _named(text: str, start: int) -> tuple[str, int] | None:
    """(symbol, end) of the longest name of a unit at `start`."""
    word = _NAME.match(text, start)
    if word is None:
        return None
    more = _MORE.match(text, word.end())
    if more is not None:
        for extra in (2, 1):
            if more[extra] is not None:
                name = f"{word.group()} {more[1]}" + (f" {more[2]}" if extra == 2 else "")
                symbol = _SYMBOLS.get(name) or _SYMBOLS.get(name.lower())
                if symbol is not None:
                    return symbol, more.end(extra)
    for name in (word.group(), word.group().rstrip(".")):
        symbol = _SYMBOLS.get(name) or (_SYMBOLS.get(name.lower()) if len(name) > 2 else None)
        if symbol is not None:
            return symbol, start + len(name)
    if _CJK.match(text, start):
        for length in (3, 2, 1):
            symbol = _SYMBOLS.get(text[start : start + length])
            if symbol is not None:
                return symbol, start + length
    return None


# --- behind a formula ------------------------------------------------------------------------------------------

_TEXT_TAIL = re.compile(
    r"(?<=[^\s=+\-*/^_(\[{,<>])\s*(?P<tail>(?:\\text\s*\{[^{}]{0,80}\}(?:\s*\^\s*\{?\s*-?\d\s*\}?)?\s*[/*]?\s*)+)$"
)
_VECTORS = frozenset(["i", "j", "k", "v", "u", "w", "x", "y", "z", "a", "b", "c", "n", "d", "e"])
_CURRENCY = str.maketrans("", "", "€£¥₹₽₩₺₫₱฿%¢°")
_COUNTED = re.compile(r"[a-z]{3,}(?:[-'][a-z]+)*")
_SMALL_WORDS = word_set("per of the a an each in to more left on at sq")
_NOT_COUNTED = word_set(
    "hundred thousand million billion trillion and or plus minus times over sin cos tan cot sec csc log exp sqrt inf "
    "pi infinity not mod div theta alpha beta gamma delta lambda sigma omega phi psi rho"
)
_CONSTANT = re.compile(r"(?:[-+*/^(){}\[\]\d.,\s]|\\pi|\\sqrt|\\frac)+")
_ATTACHED = re.compile(
    r"(?<=\d)\s?(?:cm|mm|km|nm|kg|mg|lbs?|oz|ft|yd|hrs?|min|sec|mL|ml|mph|kW|kWh|Hz)(?:\^\{?[23]\}?)?$"
)
_MOST_WORDS = 8


def split_unit(text: str) -> tuple[str, Unit | None]:
    """(formula, unit) of a tidied formula. What is counted (apples, points) is dropped; a spaced letter is a unit only
    behind a plain number. The text is unchanged where nothing but words would remain."""
    money = next((unit_named(char) for char in text if char in "€£¥₹%¢°"), None)
    text = text.translate(_CURRENCY).strip()
    tail = _TEXT_TAIL.search(text[-400:])
    if tail is not None and tail["tail"].count("\\text") <= 4:
        words = TEXT_GROUP.sub(r" \1 ", tail["tail"]).replace("~", " ").strip()
        if words not in _VECTORS:
            kept = text[: len(text) - len(text[-400:]) + tail.start()].rstrip()
            return kept, _whole(words) or money
    attached = _ATTACHED.search(text)
    if attached is not None and _CONSTANT.fullmatch(text[: attached.start()]):
        return text[: attached.start()], _whole(attached.group())
    kept, words = _split_words(text)
    return kept, (_whole(words) if words else None) or money


def _whole(words: str) -> Unit | None:
    """The unit that all of some words are."""
    spaced = " ".join(words.replace(" / ", "/").split())
    found = unit_at(" " + spaced, 0)
    return found[0] if found is not None and found[1] == len(spaced) + 1 else None


def _split_words(text: str) -> tuple[str, str]:
    """(formula, words behind it)."""
    tokens = text.split()
    kept = len(tokens)
    while kept > 1 and len(tokens) - kept < _MOST_WORDS and _is_wordy(tokens[kept - 1]):
        kept -= 1
    while kept < len(tokens):
        rest, words = " ".join(tokens[:kept]), tokens[kept:]
        if not any(char.isdigit() for char in rest):
            break
        named = [_COUNTED.fullmatch(word.strip(".,")) is not None for word in words]
        counted = any(named) and all(name or word in _SMALL_WORDS for name, word in zip(named, words, strict=True))
        unit = _whole(" ".join(words))
        measured = unit is not None and not unit.is_letter and _CONSTANT.fullmatch(rest)
        if counted or measured:
            return rest, " ".join(words)
        kept += 1
    return text, ""


def _is_wordy(token: str) -> bool:
    bare = token.strip(".,")
    return bare not in _NOT_COUNTED and any(char.isalpha() for char in bare) and "\\" not in bare
