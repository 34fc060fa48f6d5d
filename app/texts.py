"""The field app's words in English or Hebrew, numbers and names in them included; `words_en` and `words_he` hold them.

`Texts(lang)["key"]` and `.say("key", name=value)`; a test keeps both languages' keys and blanks equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app import words_en, words_he
from app.language import Lang

_ALL: dict[Lang, dict[str, str]] = {"en": words_en.WORDS, "he": words_he.WORDS}
_SIDE = re.compile(r"(?P<name>.+), (?P<side>north|north-east|east|south-east|south|south-west|west|north-west) side")
_COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_SPLIT = re.compile(  # as `train.dataset.split` describes one
    r"(?:by (?P<group>\w+)|at random \(a random split: photos of one place fall on both sides\))"
    r"(?:, fold (?P<fold>\d+) of (?P<folds>\d+))?(?: \(test: (?P<test>.*)\))?(?:, seed (?P<seed>\d+))?"
)
_NUMBERED = re.compile(r"Zone (?P<number>\d+)")


class Texts:
    """The words of one language."""

    def __init__(self, lang: Lang, places: Mapping[str, str] | None = None) -> None:
        """`places`: what the campus's map calls its places in this language, by their own names."""
        self.lang: Lang = lang
        self._places = places or {}
        self._words = _ALL[lang]

    def __getitem__(self, key: str) -> str:
        return self._words[key]

    def say(self, key: str, **blanks: object) -> str:
        """The text of `key` with its blanks filled."""
        return self._words[key].format(**blanks)

    def distance(self, metres: float) -> str:
        """A distance as people say it: "7 m", "120 m", "1.4 km", "76 km"; below a metre no figure means anything."""
        if metres < 0.95:
            return self.say("less_than", value=self.say("metres", value=1))
        if metres < 995:
            return self.say("metres", value=round(metres) if metres < 99.5 else 10 * round(metres / 10))
        kilometres = metres / 1000
        return self.say(
            "kilometres", value=f"{kilometres:.1f}" if kilometres < 9.95 else f"{_two_digits(kilometres):,}"
        )

    def isolated(self, text: str) -> str:
        """English or a file's name as it reads inside this language's lines."""
        return f"\u2066{text}\u2069" if self.right_to_left else text

    @property
    def right_to_left(self) -> bool:
        return self.lang == "he"

    def zone_name(self, name: str) -> str:
        """A zone's name in this language: `Library, north side` and `Zone 7` are how training names zones."""
        if found := _SIDE.fullmatch(name):
            return self.say(
                "side_place", name=self._places.get(found["name"], found["name"]), side=self[f"side_{found['side']}"]
            )
        if found := _NUMBERED.fullmatch(name):
            return self.say("zone_number", number=found["number"])
        return self._places.get(name, name)

    def split(self, described: str) -> str:
        """How photos were held out, as training describes it, in this language; any other text as it stands."""
        found = _SPLIT.fullmatch(described)
        if found is None:
            return self.isolated(described)
        group = found["group"]
        known = group in ("session", "standpoint", "device", "contributor")
        by = self.say("split_by", group=self[f"split_{group}"] if known else group)
        said = [by if group else self["split_random"]]
        if found["fold"]:
            said.append(self.say("split_fold", fold=found["fold"], folds=found["folds"]))
        if found["test"]:
            said.append(self.say("split_test", names=self.isolated(found["test"])))
        if found["seed"]:
            said.append(self.say("split_seed", seed=found["seed"]))
        return ", ".join(said)

    def direction(self, heading_deg: float) -> str:
        """The nearest of eight directions, as in "looking north-east"."""
        return self[f"towards_{_COMPASS[round(heading_deg / 45) % 8]}"]


def _two_digits(value: float) -> int:
    """A number of at least 10, rounded to a whole one, and above 100 to its first two digits."""
    step: int = 10 ** (len(str(int(value))) - 2)
    return step * round(value / step)
