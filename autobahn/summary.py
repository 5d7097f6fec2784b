#!/usr/bin/env python3
"""Sums one run of the Autobahn test suite up, one line a section.

    autobahn/summary.py FOLDER

FOLDER holds the suite's index.json and what the suite printed, suite.log, which lists the cases that
it meant to run: a case that never ran is a failure. A case passes when its behavior and its closing
behavior are both OK, or INFORMATIONAL where the suite itself only informs. Exits with 1 otherwise.
"""

import ast
import collections
import json
import pathlib
import re
import sys

SECTIONS = {
    "1": "framing", "2": "pings and pongs", "3": "reserved bits", "4": "opcodes", "5": "fragmentation",
    "6": "UTF-8 handling", "7": "close handling", "9": "limits and performance", "10": "auto-fragmentation",
    "12": "compression, payloads", "13": "compression, parameters",
}  # fmt: skip
# The cases in which the suite observes what the RFC leaves open; it never gives them an OK.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
# Failures listed for each section.
SHOWN = 10


def main(folder):
    log = (folder / "suite.log").read_text(errors="replace")
    planned = re.search(r"^Cases = (\[.*\])$", log, re.MULTILINE)
    if not planned:
        print("  the suite did not start:\n" + log)
        return 1
    index = folder / "index.json"
    agents = json.loads(index.read_text()) if index.exists() else {}
    results = next(iter(agents.values()), {})

    sections = collections.defaultdict(list)
    for case in ast.literal_eval(planned[1]):
        sections[case.split(".")[0]].append(case)
    failed = False
    for section, cases in sections.items():
        bad, informed = [], 0
        for case in cases:
            result = results.get(case, {})
            verdict = [result.get(key, "NOT RUN") for key in ("behavior", "behaviorClose")]
            if "INFORMATIONAL" in verdict and case in INFORMATIONAL:
                informed += 1
            if not passed(case, verdict):
                bad.append(f"      {case}: {verdict[0]}, close {verdict[1]}")
        line = f"  {section:<3} {SECTIONS.get(section, '?'):<24} {len(cases) - len(bad)}/{len(cases)}"
        line += " FAILED" if bad else " OK"
        print(line + f" ({informed} informational)" * bool(informed))
        for reason in bad[:SHOWN]:
            print(reason)
        if len(bad) > SHOWN:
            print(f"      and {len(bad) - SHOWN} more")
        failed |= bool(bad)
    return int(failed or not sections)


def passed(case, verdict):
    accepted = {"OK", "INFORMATIONAL"} if case in INFORMATIONAL else {"OK"}
    return set(verdict) <= accepted


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
