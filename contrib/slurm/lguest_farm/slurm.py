# SPDX-License-Identifier: GPL-2.0-or-later
"""Submits the tasks of a farm to Slurm as job arrays, and waits for them."""

import os
import re
import subprocess
import time

from .plan import PlanError

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def call(words, patience=120):
    """Runs a program of Slurm and returns its output; raises PlanError with Slurm's own message."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience, check=False)
    except FileNotFoundError:
        raise PlanError(f"{words[0]}: no such program; install Slurm's client programs (Debian: slurm-client)") from None
    except subprocess.TimeoutExpired:
        raise PlanError(f"{words[0]}: no answer in {patience} s; is the controller running (scontrol ping)?") from None
    if done.returncode:
        lines = done.stderr.decode(errors="backslashreplace").strip().splitlines()
        raise PlanError(f"{words[0]}: {lines[-1] if lines else f'exit status {done.returncode}'}")
    return done.stdout.decode(errors="backslashreplace")


def most_elements():
    """Returns how many elements a job array of this cluster can have."""
    match = re.search(r"^MaxArraySize\s*=\s*([0-9]+)", call(["scontrol", "show", "config"]), re.MULTILINE)
    return max(1, int(match[1]) - 1) if match else 1000


def arrays(plan, numbers, most):
    """Returns job arrays: (limits, first task, elements relative to it). Elements are below most."""
    found = []
    for number in numbers:
        task = plan["tasks"][number]
        key = (task["memory"], task["cpus"], task["minutes"])
        for limits, first, elements in found:
            if limits == key and number - first < most:
                elements.append(number - first)
                break
        else:
            found.append((key, number, [0]))
    return found


def ranges(elements):
    """Returns numbers in the form of --array: 0-3,7."""
    out = []
    for n in elements:
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def submit(plan, directory, numbers, options):
    """Submits tasks; returns the numbers of the job arrays, which are also appended to DIR/jobs."""
    directory = os.path.abspath(directory)
    os.makedirs(os.path.join(directory, "slurm"), exist_ok=True)
    jobs = []
    for (memory, cpus, minutes), first, elements in arrays(plan, numbers, most_elements()):
        words = ["sbatch", "--parsable", f"--array={ranges(elements)}", f"--mem={memory}M", f"--cpus-per-task={cpus}",
                 f"--time={minutes}", f"--output={directory}/slurm/%A_%a.txt"]
        words += options + [os.path.join(HERE, "array.sh"), HERE, directory, str(first)]
        jobs.append(call(words).strip().partition(";")[0])
        with open(os.path.join(directory, "jobs"), "a", encoding="ascii") as file:
            file.write(jobs[-1] + "\n")
    return jobs


def wait(directory, limit):
    """Waits until no job of the farm is left in Slurm's queue. Returns False after limit seconds (None: no limit)."""
    path = os.path.join(directory, "jobs")
    try:
        with open(path, encoding="ascii") as file:
            jobs = file.read().split()
    except FileNotFoundError:
        raise PlanError(f"{path}: no such file; nothing of this farm was submitted to Slurm") from None
    end = None if limit is None else time.monotonic() + limit
    failures, pause = 0, 0.5
    while True:
        try:
            # squeue --jobs fails for a job that Slurm has forgotten already, so ask for the whole queue.
            states = call(["squeue", "--noheader", "--format=%F"]).split()
            failures = 0
            if not set(jobs) & set(states):
                return True
        except PlanError:
            failures += 1
            if failures == 10:
                raise
        if end is not None and time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(10.0, pause * 1.5)
