"""Log lines as text or as JSON, by a command line's `--log`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import datetime, timezone


class JsonLine(logging.Formatter):
    """A log record as one line of JSON: `time` (ISO 8601, UTC), `level`, `logger`, `message`, and a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def in_json() -> bool:
    """Whether every line on standard error is to be a JSON object."""
    return any(isinstance(handler.formatter, JsonLine) for handler in logging.getLogger().handlers)


def add_log_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", choices=("text", "json"), default="text", help="form of the log lines (%(default)s)")


def use_log(form: str) -> None:
    """Let every logger that has no handler of its own write in this form, to standard error."""
    if form == "json":
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLine())
        logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
