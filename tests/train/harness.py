"""What the tests of train's commands share: a command's exit code, and what it says."""

from __future__ import annotations

import contextlib
import io
import logging
import sys

import pytest

import predict
import train.__main__
from core.cli.run import run_cli


def train_cli(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
    return run_cli(train.__main__.main)


def told_by(patch: pytest.MonkeyPatch, *words: object) -> str:
    """What a command of `train` that ends well prints and logs."""
    told = io.StringIO()
    logger, handler = logging.getLogger("train"), logging.StreamHandler(told)
    logger.addHandler(handler)
    try:
        with contextlib.redirect_stdout(told):
            assert train_cli(patch, *words) == 0
    finally:
        logger.removeHandler(handler)
    return told.getvalue()


def predict_cli(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, words)])
    return run_cli(predict.main)
