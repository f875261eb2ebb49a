# SPDX-License-Identifier: GPL-2.0-or-later
"""Collects the results of a farm, or of a job log of GNU parallel, into rows for the reports."""

import os

from . import plan as plans
from . import results
from .plan import PlanError


def judge(found, expect):
    """Sets the state of a row: ok, unexpected (a verdict that was not expected) or missing (no verdict)."""
    found["expected"] = expect
    found["state"] = "missing" if not found["verdict"] else "ok" if results.meets(found, expect) else "unexpected"
    return found


def missing(name, reason):
    """Returns the row of a guest without any attempt."""
    found = results.row(name, None, None)
    return dict(found, verdict=None, reason=reason, result=None, files=[], attempts=0, more_verdicts=0, faults=[])


def of_farm(directory):
    """Returns (title, rows) of a farm, in the order of its manifest."""
    plan = plans.load(directory)
    rows = []
    for line in plan["lines"]:
        found = results.best(line["name"], results.attempts(plans.guest_directory(directory, line)))
        rows.append(judge(found or missing(line["name"], "never started"), line["expect"]))
    return plan["manifest"], rows


def read_joblog(path):
    """Returns the jobs of a log of GNU parallel (--joblog) by number. A job that ran again has its last line."""
    jobs = {}
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        head = file.readline().rstrip("\n").split("\t")
        if head[:9] != ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"]:
            raise PlanError(f"{path}: this is not a job log of GNU parallel (--joblog=FILE)")
        for number, text in enumerate(file, 2):
            fields = text.rstrip("\n").split("\t", 8)
            try:
                sequence, started, took = int(fields[0]), float(fields[2]), float(fields[3])
                status, signal = int(fields[6]), int(fields[7])
                jobs[sequence] = (fields[1], started, took, status, signal, fields[8])
            except (ValueError, IndexError, OverflowError):
                # A command that contains a line break continues here.
                if not jobs:
                    raise PlanError(f"{path}:{number}: this is not a line of a job log") from None
    return jobs


def of_joblog(path, template, expect, count):
    """Returns (title, rows) of a job log. template: the result files, with {#} for the number of the job."""
    if "{#}" not in template:
        raise PlanError(f"--results={template}: expected {{#}} for the number of the job, such as results/{{#}}.json")
    jobs = read_joblog(path)
    last = max([count or 0] + list(jobs))
    if not last:
        raise PlanError(f"{path}: no jobs in this log; --jobs=N says how many there should be")
    rows = []
    for sequence in range(1, last + 1):
        file = template.replace("{#}", str(sequence))
        if sequence not in jobs:
            reason = "not in the job log: never started, or parallel was ended before it"
            rows.append(judge(missing(f"job {sequence}", reason), expect))
            continue
        rows.append(judge(joblog_row(sequence, jobs[sequence], file), expect))
    return os.path.basename(path), rows


def joblog_row(sequence, job, file):
    """Returns the row of one job of a log."""
    from .task import utc
    host, started, took, status, signal, text = job
    result = results.load(file)
    record = {"host": "this host" if host == ":" else host, "status": status, "wall_ms": int(took * 1000),
              "started": utc(started)}
    found = results.row(f"{sequence} {results.host_text(results.part(result, 'kernel')) or text}", result, record,
                        os.path.exists(file) and os.path.getsize(file) > 0)
    if signal or status > 255:
        found.update(verdict=None, reason=f"ended by signal {signal}")
    elif result is not None and found["status"] != status and found["verdict"]:
        # The file is older than the job: something else has written it.
        found.update(verdict=None, status=status, reason="the result file does not belong to this job")
    base = file[:-len(".json")] if file.endswith(".json") else file
    found.update(result=result, attempts=1, more_verdicts=0, job=str(sequence),
                 faults=[] if found["verdict"] else [{"host": record["host"], "reason": found["reason"]}],
                 files=[f for f in (base + ".txt", base + ".err", file) if os.path.exists(f)])
    return found


def summary(rows):
    """Returns the lines that collect prints: the sum, and each guest that is not as expected."""
    count = {state: sum(r["state"] == state for r in rows) for state in ("ok", "unexpected", "missing")}
    lines = [f"{len(rows)} guests: {count['ok']} as expected, {count['unexpected']} not as expected, "
             f"{count['missing']} without a verdict"]
    hosts = {}
    for found in rows:
        if found["state"] == "unexpected":
            lines.append(f"not as expected: {found['name']}: {found['verdict']}, status {found['status']} "
                         f"(expected {','.join(found['expected'])})")
        elif found["state"] == "missing":
            lines.append(f"no verdict: {found['name']}: {found['reason']}; attempts: {found['attempts']}")
        for fault in found["faults"]:
            hosts[fault["host"]] = hosts.get(fault["host"], 0) + 1
    if hosts:
        lines.append("faults of hosts: " + ", ".join(f"{h or 'unknown'} {n}" for h, n in sorted(hosts.items(), key=str)))
    return lines
