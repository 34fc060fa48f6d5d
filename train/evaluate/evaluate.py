"""How far off the fixes of held-out photos are, how often their radii hold, and three baselines on the same photos."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.io.files import check_writable, written_atomically
from core.locate.localizer import Localizer
from train.dataset.dataset import Dataset
from train.evaluate.breakdown import Breakdown, break_down
from train.evaluate.evaluation import Evaluation, describe, evaluate, refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="campus bundle: a folder or NAME.campus")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`, or images/ and gt.csv")
    parser.add_argument(
        "--split", metavar="NAME", help="train, calibration or test (default: test, or all if not split)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the metrics there as JSON")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a report there: report.html, and its figures")
    parser.add_argument(
        "--strangers", type=Path, metavar="DIR", help="photos of other places: how many are refused as not this campus"
    )


def main(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    if args.report:
        from train.evaluate.report import check_report_folder, write_report

        check_report_folder(args.report)
    localizer, dataset = Localizer.load(args.bundle), Dataset.load(args.dataset)
    strangers = refused(localizer, args.strangers) if args.strangers else None
    evaluation = evaluate(localizer, dataset, args.split)
    breakdown = break_down(evaluation, dataset, localizer.bundle, strangers)
    print(describe(evaluation, localizer))
    print("\n".join(breakdown.lines()))
    if args.json:
        with written_atomically(args.json) as temporary:
            temporary.write_text(json.dumps(as_json(evaluation, breakdown), indent=1) + "\n", encoding="utf-8")
    if args.report:
        write_report(args.report, evaluation, breakdown, dataset, localizer)
        print(f"{args.report / 'report.html'}: open it in a browser; it holds photos of the dataset")
    return 0


def as_json(evaluation: Evaluation, breakdown: Breakdown) -> dict[str, Any]:
    """The metrics, and beside them what `Breakdown` holds."""
    return {**evaluation.metrics.model_dump(), **asdict(breakdown)}
