"""Tests, room by room as the code is; what several rooms' tests need stands here."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SLICE = REPOSITORY / "tests" / "train" / "slice"  # 166 of the demo's photos, a few of each capture session
