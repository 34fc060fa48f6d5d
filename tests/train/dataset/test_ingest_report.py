"""What ingesting reports, in the terminal and in report.json."""

from __future__ import annotations

from train.dataset.ingest_report import MAX_SHOWN, IngestReport, Note


def test_a_long_report_is_cut_for_the_terminal_only() -> None:
    notes = tuple(Note(f"{number}.jpg", "unreadable", "why") for number in range(MAX_SHOWN + 5))
    report = IngestReport(25, 0, 0, 0, 0, 0, 512, False, notes, (), (), 0, ())
    assert "and 5 more" in report.summary()
    assert f"{MAX_SHOWN + 4}.jpg" not in report.summary()
    assert f"{MAX_SHOWN + 4}.jpg" in report.to_json()
