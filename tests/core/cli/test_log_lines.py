from __future__ import annotations

import json
import logging
import sys

from core.cli.log_lines import JsonLine


def test_a_record_is_one_line_of_json_whatever_it_says() -> None:
    record = logging.LogRecord("edge.run", logging.WARNING, "", 0, "skipped: %s", ('é\n"x"',), None)
    record.created = 1_700_000_000.25
    text = JsonLine().format(record)
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "2023-11-14T22:13:20.250+00:00", "level": "warning", "logger": "edge.run", "message": 'skipped: é\n"x"'
    }  # fmt: skip


def test_a_traceback_is_in_the_same_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord("app", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    text = JsonLine().format(record)
    assert "\n" not in text
    assert "ValueError: why" in json.loads(text)["traceback"]
