"""Text files of unknown encoding: what they say of themselves, then Unicode, then a likely guess.

The order: a byte order mark; UTF-8, if all of it is; UTF-16, if every other byte is zero as ASCII
in it is; the encoding that the language in the file's name had before Unicode; and else the
encodings of East Asia by how much of the text lies in the rows where their common characters are,
and Windows' Cyrillic or Western alphabet by whether whole words or single letters are not ASCII.
"""

import codecs
import re
from typing import NamedTuple

SAMPLE_BYTES = 2**16
"""What is looked at for a guess."""

MIN_GOOD_PER_BAD = 50
"""An encoding is ruled out where fewer characters than this can be read for one that cannot."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_OF_LANGUAGE = {
    **dict.fromkeys(("ja", "jpn"), "cp932"),
    **dict.fromkeys(("ko", "kor"), "cp949"),
    **dict.fromkeys(("th", "tha"), "cp874"),
    **dict.fromkeys(("vi", "vie"), "cp1258"),
    **dict.fromkeys(("ru", "rus", "uk", "ukr", "bg", "bul", "sr", "srp", "be", "bel"), "cp1251"),
    **dict.fromkeys(("el", "ell", "gre"), "cp1253"),
    **dict.fromkeys(("tr", "tur"), "cp1254"),
    **dict.fromkeys(("he", "heb", "iw"), "cp1255"),
    **dict.fromkeys(("ar", "ara", "fa", "fas", "per"), "cp1256"),
    **dict.fromkeys(("lt", "lit", "lv", "lav", "et", "est"), "cp1257"),
    **dict.fromkeys(("pl", "pol", "cs", "cze", "ces", "sk", "slk", "hu", "hun"), "cp1250"),
    **dict.fromkeys(("ro", "ron", "rum", "hr", "hrv", "sl", "slv"), "cp1250"),
    "zh-hant": "big5hkscs",
    "zh-tw": "big5hkscs",
    "zh-hk": "big5hkscs",
    "zh-hans": "gb18030",
    "zh-cn": "gb18030",
}
"""Chinese without a script is told by its characters, and Western European is what remains."""


class _Rows(NamedTuple):
    """An encoding of two bytes per character, and the lead bytes of its common characters."""

    encoding: str
    common: re.Pattern[bytes]


def _rows(encoding: str, common: bytes) -> _Rows:
    return _Rows(encoding, re.compile(common, re.DOTALL))


_EAST_ASIA = (
    # The narrowest first: Korean syllables lie inside the common rows of simplified Chinese.
    _rows("cp949", b"[\xb0-\xc8][\xa1-\xfe]|\xa1[\xa1-\xfe]"),
    _rows("cp932", b"\x82[\x9f-\xf1]|\x83[\x40-\x96]|[\x88-\x97][\x40-\xfc]|\x81[\x40-\xfc]"),
    _rows("euc_jp", b"[\xa4\xa5][\xa1-\xf6]|[\xb0-\xcf][\xa1-\xfe]|\xa1[\xa1-\xfe]"),
    _rows("gb18030", b"[\xb0-\xd7][\xa1-\xfe]|[\xa1\xa3][\xa1-\xfe]"),
    _rows("big5hkscs", b"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]|[\xa1-\xa3][\x40-\x7e\xa1-\xfe]"),
)
_KANA = re.compile("[\u3041-\u30fa]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_TWO_BYTES = re.compile(rb"[\x81-\xfe][\x30-\xff]|[\x80-\xff]", re.DOTALL)
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")


def decode_text(data: bytes, *, language: str = "") -> str:
    """Return the text of a file; what its encoding cannot mean becomes U+FFFD.

    Args:
        data: The bytes of the file.
        language: Its language, such as `ja` or `zh-Hans`, where that is known.
    """
    return data.decode(guess_encoding(data, language=language), errors="replace")


def guess_encoding(data: bytes, *, language: str = "") -> str:
    """Return Python's name of the most likely encoding of a text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    sample = data[:SAMPLE_BYTES]
    zeros = sample[0::2].count(0), sample[1::2].count(0)
    if max(zeros) * 4 > len(sample):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    if _fits(data, "utf-8"):
        return "utf-8"
    tag = language.lower()
    stated = _OF_LANGUAGE.get(tag) or _OF_LANGUAGE.get(tag.partition("-")[0])
    if stated is not None and _fits(data, stated):
        return stated
    return _of_east_asia(data, sample) or _of_europe(sample)


def _of_east_asia(data: bytes, sample: bytes) -> str | None:
    """Return the encoding whose common characters make up most of the text, if one does."""
    scores = {}
    for encoding, common in _EAST_ASIA:
        if _fits(data, encoding):
            scores[encoding] = _share(sample, common) + _bonus(sample, encoding)
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] >= 0.75 else None


def _share(sample: bytes, common: re.Pattern[bytes]) -> float:
    """Return the share of two-byte characters that are common ones."""
    pairs = _TWO_BYTES.findall(sample)
    return sum(common.fullmatch(pair) is not None for pair in pairs) / max(len(pairs), 1)


def _bonus(sample: bytes, encoding: str) -> float:
    """Return what the letters of Japanese and Korean add, and what their absence takes away."""
    letters = {"cp932": _KANA, "euc_jp": _KANA, "cp949": _HANGUL}.get(encoding)
    if letters is None:
        return 0.0
    text = sample.decode(encoding, errors="replace")
    high = [character for character in text if character > "\u0fff"]
    share = len(letters.findall(text)) / max(len(high), 1)
    needed = 0.9 if letters is _HANGUL else 0.2
    return 0.2 if share >= needed else -0.5


def _of_europe(sample: bytes) -> str:
    runs = _HIGH_RUN.findall(sample)
    mean = sum(map(len, runs)) / max(len(runs), 1)
    return "cp1251" if mean >= 2.5 else "cp1252"


def _fits(data: bytes, encoding: str) -> bool:
    """Whether a text can be read so; a few damaged characters among many do not matter."""
    text = data.decode(encoding, errors="replace")
    num_bad = text.count("\ufffd")
    return num_bad == 0 or num_bad * MIN_GOOD_PER_BAD < len(_NOT_ASCII.findall(text))
