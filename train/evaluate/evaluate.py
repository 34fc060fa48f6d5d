"""How far off the fixes of held-out photos are, how often their radii hold, and baselines on the same photos."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import DatasetError
from core.io.files import check_file_writable, written_atomically
from core.locate.localizer import Localizer
from train.dataset.dataset import Dataset
from train.evaluate.breakdown import Breakdown, break_down
from train.evaluate.evaluation import Evaluation, describe, evaluate_rows, refused, rows_to_evaluate
from train.evaluate.fused import Fused, evaluate_fused, lines
from train.evaluate.fused import as_json as fused_json
from train.evaluate.metrics import ALL_PHOTOS
from train.evaluate.sequences import BURST_GAP_S, BURST_LASTS_GAPS, walks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="campus bundle: a folder or NAME.campus")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder made by `ingest`, or images/ and gt.csv")
    parser.add_argument(
        "--split",
        metavar="NAME",
        help="train, calibration or test (default: test, or all if not split; photos that the bundle was made of are "
        "then left out)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the metrics there as JSON")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a report there: report.html, and its figures")
    parser.add_argument(
        "--ood",
        "--strangers",  # its former name
        dest="ood",
        type=Path,
        metavar="DIR",
        help="photos of other places (out of distribution): how many are refused as not this campus",
    )
    parser.add_argument(
        "--together", type=float, nargs="?", const=BURST_GAP_S, metavar="SECONDS",
        help="also as bursts: photos of one walker at most so long apart, and no burst longer than "
        f"{BURST_LASTS_GAPS:g} times that, located together (default: {BURST_GAP_S:g})",
    )  # fmt: skip
    parser.add_argument(
        "--foreign", action="store_true", help="also bursts with a photo of another place of their walk in each"
    )
    parser.add_argument("--walk", action="store_true", help="also as walks: photos in the order of time, filtered")


def main(args: argparse.Namespace) -> int:
    if args.foreign and args.together is None:
        raise DatasetError("--foreign mixes photos into bursts", remedy="give --together, too")
    if args.json:
        check_file_writable(args.json)
    if args.report:
        from train.evaluate.report import check_report_folder, write_report

        check_report_folder(args.report)
    localizer, dataset = Localizer.load(args.bundle), Dataset.load(args.dataset)
    split, rows, known = rows_to_evaluate(localizer.bundle, dataset, args.split)
    if args.together is not None or args.walk:
        walks(dataset, rows)  # undated, before all are located
    ood = refused(localizer, args.ood) if args.ood else None
    evaluation = evaluate_rows(localizer, dataset, rows, split, known)
    breakdown = break_down(evaluation, dataset, localizer.bundle, ood)
    print(describe(evaluation, localizer))
    print("\n".join(breakdown.lines()))
    fused = Fused()
    if args.together is not None or args.walk:
        fused = evaluate_fused(localizer, dataset, evaluation.rows, args.together, args.walk, args.foreign)
        print("\n".join(lines(fused)))
    if args.json:
        with written_atomically(args.json) as temporary:
            temporary.write_text(json.dumps(as_json(evaluation, breakdown, fused), indent=1) + "\n", encoding="utf-8")
    if args.report:
        write_report(args.report, evaluation, breakdown, dataset, localizer, fused)
        print(f"{args.report / 'report.html'}: open it in a browser; it holds photos of the dataset")
    return 0


def as_json(evaluation: Evaluation, breakdown: Breakdown, fused: Fused | None = None) -> dict[str, Any]:
    """The metrics, and beside them what `Breakdown` holds, and bursts and walks where they were asked for.

    `errors_of` says of which photos errors are wherever they are not those of `accepted` ones.
    """
    metrics = evaluation.metrics.model_dump()
    return {"errors_of": ALL_PHOTOS, **metrics, **asdict(breakdown), **fused_json(fused or Fused())}
