"""What people say to show that they listen, by language: it takes no turn.

A phrase is a murmur when it is made of nothing but these, in any number: "yeah, okay, right". Spelled as a
recogniser writes them: lower case, without hyphens and apostrophes, accents kept.
"""

import re
from collections.abc import Mapping

#: Sounds that every language has, whatever the recogniser makes of them.
HUMMED = frozenset("ah aha ahh eh ehm hm hmm hmmm huh mhm mm mmhm mmhmm mmm oh ooh uh uhhuh um umhum".split())  # noqa: SIM905
#: Phrases by ISO 639-1 language; several words are one phrase, written with spaces.
PHRASES: Mapping[str, tuple[str, ...]] = {
    "de": ("aha", "ach", "ach so", "genau", "gut", "ja", "jaja", "klar", "mhm", "na klar", "okay", "ok", "richtig",
           "so so", "stimmt", "tja", "verstehe", "ich verstehe", "alles klar"),
    "en": ("ah", "alright", "all right", "cool", "exactly", "got it", "gotcha", "i see", "of course", "ok", "okay",
           "really", "right", "sure", "sure thing", "that is right", "thats right", "true", "uh huh", "wow", "yeah",
           "yep", "yes", "yup", "mm hm", "mm hmm"),
    "es": ("ah", "aja", "ajá", "bien", "bueno", "claro", "claro que si", "claro que sí", "de acuerdo", "entiendo",
           "exacto", "ok", "okay", "sí", "si", "vale", "ya", "ya veo"),
    "fr": ("ah bon", "bien", "bien sûr", "bon", "d accord", "daccord", "exact", "exactement", "hein", "je vois", "ok",
           "okay", "ouais", "oui", "tout à fait", "voilà", "c est ça", "cest ça"),
    "it": ("ah", "bene", "capisco", "certo", "d accordo", "daccordo", "ecco", "esatto", "giusto", "ho capito", "ok",
           "okay", "sì", "si", "va bene", "già"),
    "ja": ("ああ", "うん", "うんうん", "ええ", "はい", "はいはい", "へえ", "そう", "そうですか", "そうですね",
           "なるほど"),
    "nl": ("aha", "ja", "jaja", "juist", "klopt", "mooi", "oké", "oke", "ok", "okay", "precies", "goed", "snap ik",
           "inderdaad"),
    "pl": ("aha", "dobrze", "jasne", "no", "no tak", "okej", "ok", "rozumiem", "tak", "właśnie"),
    "pt": ("ah", "certo", "claro", "entendi", "está bem", "exato", "isso", "ok", "okay", "pois", "pois é", "sim",
           "tá", "tá bom"),
    "tr": ("aynen", "evet", "ha", "hı hı", "peki", "tabii", "tamam", "anladım", "doğru", "ok"),  # noqa: RUF001
    "zh": ("嗯", "嗯嗯", "哦", "啊", "好", "好的", "是", "是的", "对", "对对", "明白", "知道了", "没错"),
}  # fmt: skip
#: Most words of one phrase above.
LONGEST = max(len(phrase.split()) for phrases in PHRASES.values() for phrase in phrases)


def words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case, hyphens and apostrophes closed up."""
    return re.findall(r"[^\W_]+", re.sub(r"[-'\u2019]", "", text.lower()))


def is_murmur(text: str, language: str) -> bool:
    """Return whether ``text`` holds nothing but murmurs of ``language`` (ISO 639-1); so does an empty one."""
    said, phrases = words(text), set(PHRASES.get(language, ())) | HUMMED
    place = 0
    while place < len(said):
        length = next(
            (n for n in range(LONGEST, 0, -1) if " ".join(said[place : place + n]) in phrases), None
        )
        if length is None:
            return False
        place += length
    return True
