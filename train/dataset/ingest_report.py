"""What an import did: how many photos came in, which were left out and why, which positions look wrong."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_SHOWN = 20  # files named in the printed summary for each reason; report.json has them all


@dataclass(frozen=True)
class Note:
    """One file and what is to say about it."""

    file: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class IngestReport:
    """The outcome of an import; every count is of photos.

    `found`: photo files in the folder. `other_files`: what is no photo by its name. `left_out`: with reason,
    and with labels also the rows of the CSV that have no photo. `wrong`: left out for a position that cannot
    be on the campus (kept where asked to). `doubtful`: taken in, the reason in the column `outlier`.
    `shared_positions`: photos that share their exact coordinates with another one. `sites`: how many lie at
    each separate place, where there is more than one.
    """

    found: int
    other_files: int
    taken_in: int
    night: int
    sessions: int
    zones: int
    size: int
    kept_wrong: bool
    left_out: tuple[Note, ...]
    wrong: tuple[Note, ...]
    doubtful: tuple[Note, ...]
    shared_positions: int
    sites: tuple[int, ...]

    def to_json(self) -> str:
        """As text, the same for the same photos."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> IngestReport:
        """Read a report.json."""
        held = json.loads(path.read_text("utf-8"))
        for name in ("left_out", "wrong", "doubtful"):
            held[name] = tuple(Note(**note) for note in held[name])
        return cls(**{**held, "sites": tuple(held["sites"])})

    def summary(self) -> str:
        """The report in words, for the terminal."""
        lines = [
            f"{self.taken_in} of {self.found} photos taken in"
            f" ({self.night} by night, {self.sessions} session{'' if self.sessions == 1 else 's'})"
        ]
        if self.other_files:
            lines.append(f"{self.other_files} other files in the folder are no photos by their names")
        for reason, count in Counter(note.reason for note in self.left_out).most_common():
            lines.append(f"left out, {reason}: {count}")
            lines += _listed([note for note in self.left_out if note.reason == reason])
        if self.wrong:
            done = "kept as asked" if self.kept_wrong else "left out of gt.csv"
            lines.append(f"positions that cannot be right: {len(self.wrong)}, {done}")
            lines += _listed(self.wrong)
        if self.doubtful:
            lines.append(f"positions that look doubtful: {len(self.doubtful)}, kept (column outlier)")
            lines += _listed(self.doubtful)
        if self.shared_positions:
            lines.append(
                f"{self.shared_positions} photos share their exact coordinates with another one "
                "(one standpoint, or a GPS that had not moved on); kept"
            )
        if len(self.sites) > 1:
            places = ", ".join(map(str, self.sites))
            lines.append(f"they lie at {len(self.sites)} separate places ({places}); kept as one campus")
        return "\n".join(lines)


def _listed(notes: list[Note] | tuple[Note, ...]) -> list[str]:
    lines = [f"  {note.file}: {note.detail or note.reason}" for note in notes[:MAX_SHOWN]]
    more = len(notes) - MAX_SHOWN
    return [*lines, f"  … and {more} more (report.json names them)"] if more > 0 else lines
