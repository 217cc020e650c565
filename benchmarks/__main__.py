"""Runs a benchmark: ``python -m benchmarks NAME [--rows N] [--json]``.

Each contender runs in a process of its own, in turn with the others, three rounds or more, on the
same input; medians count. Machines are shared and noisy: read the ratios, not the seconds.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import clean, memory
from benchmarks.inputs import yellow_month

BENCHES = {"clean": clean.CONTENDERS}
OURS = "taxi_platform"


def main() -> None:
    """Parses the command line; with ``--contender``, is one contender's process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted([*BENCHES, "memory"]))
    parser.add_argument("--rows", type=int, help="by default 2 million, for memory 1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    rows = chosen.rows or (1_000_000 if chosen.name == "memory" else 2_000_000)
    rounds = max(chosen.rounds, 3)
    if chosen.contender:
        _contend(chosen.name, chosen.contender, rows)
    elif chosen.name == "memory":
        memory.compare(_clean_ours, rows, rounds, as_json=chosen.json)
    else:
        _compete(chosen.name, rows, rounds, as_json=chosen.json)


def _clean_ours(rows: int) -> dict[str, float]:
    yellow_month(rows)
    return _run("clean", OURS, rows)


def _contend(bench: str, contender: str, rows: int) -> None:
    source = yellow_month(rows)
    start = time.perf_counter()
    BENCHES[bench][contender](source)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_mb": _peak_mb()}))


def _peak_mb() -> float:
    """Of this process alone: what getrusage says counts, on Linux, the one that started it too."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _compete(bench: str, rows: int, rounds: int, *, as_json: bool) -> None:
    yellow_month(rows)
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in BENCHES[bench]}
    for _ in range(rounds):
        for contender, results in measured.items():
            results.append(_run(bench, contender, rows))
    medians = {
        name: {key: statistics.median(r[key] for r in results) for key in results[0]}
        for name, results in measured.items()
    }
    for name, result in medians.items():
        line = {
            "bench": bench,
            "contender": name,
            "rows": rows,
            "seconds": round(result["seconds"], 3),
            "rows_per_second": round(rows / result["seconds"]),
            "peak_mb": round(result["peak_mb"]),
        }
        print(json.dumps(line) if as_json else _row(line))
    ours = medians[OURS]["seconds"]
    ratios = {n: round(ours / r["seconds"], 3) for n, r in medians.items() if n != OURS}
    print(
        json.dumps({"bench": bench, "ratios": ratios})
        if as_json
        else f"our time / theirs: {ratios}"
    )


def _row(line: dict[str, object]) -> str:
    return (
        f"{line['contender']:<16}{line['seconds']:>9} s{line['rows_per_second']:>12,} rows/s"
        f"{line['peak_mb']:>7,} MB"
    )


def _run(bench: str, contender: str, rows: int) -> dict[str, float]:
    arguments = [bench, "--contender", contender, "--rows", str(rows)]
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    result: dict[str, float] = json.loads(out.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
