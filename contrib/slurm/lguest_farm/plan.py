# SPDX-License-Identifier: GPL-2.0-or-later
"""The plan of a farm: DIR/plan.json says which guests each task runs."""

import math
import os
import shutil

from . import manifest
from . import results


class PlanError(Exception):
    """A directory or program is not usable; the text says which and why."""


def load(directory):
    """Returns the plan of a farm."""
    path = os.path.join(directory, "plan.json")
    plan = results.load(path, 1 << 30)
    if plan is None or plan.get("schema") != 1:
        raise PlanError(f"{path}: cannot be read, or is not a plan of lguest-farm prepare or submit")
    return plan


def guest_directory(directory, line):
    """Returns the directory of a guest's attempts."""
    return os.path.join(directory, "guests", line["name"])


def find_program(word):
    """Returns the absolute path of lguest-sep."""
    found = shutil.which(word)
    if not found:
        raise PlanError(f"{word}: no such program; install lguest-sep on this host and on the nodes, or use --program=FILE")
    return os.path.abspath(found)


def group(lines, chunk):
    """Returns tasks: guests with the same limits, at most chunk of them in a task, in the order of the manifest."""
    tasks, last = [], {}
    for index, line in enumerate(lines):
        key = (line["memory"], line["cpus"])
        task = last.get(key)
        if task is None or len(task["lines"]) >= chunk:
            task = {"memory": line["memory"], "cpus": line["cpus"], "lines": [], "seconds": 60.0}
            tasks.append(task)
            last[key] = task
        task["lines"].append(index)
        # lguest-sep ends a guest at its time limit; the rest is for starting and ending it on a busy host.
        task["seconds"] += line["timeout"] + 15
    for task in tasks:
        task["minutes"] = math.ceil(task.pop("seconds") / 60)
    return tasks


def create(source, directory, program, chunk, attempts):
    """Makes the directory of a new farm; returns its plan."""
    directory = os.path.abspath(directory)
    if "," in directory or any(ord(c) < 32 for c in directory):
        raise PlanError(f"{ascii(directory)}: the path must not contain commas or control characters")
    lines = manifest.read(source)
    plan = {
        "schema": 1,
        "manifest": os.path.basename(source),
        "cwd": os.getcwd(),
        "program": find_program(program),
        "attempts": attempts,
        "lines": lines,
        "tasks": group(lines, chunk),
    }
    plan["rounds"] = [1] * len(plan["tasks"])
    try:
        os.mkdir(directory)
    except FileExistsError:
        raise PlanError(f"{directory}: exists already; a farm needs a new directory (or: lguest-farm again)") from None
    os.mkdir(os.path.join(directory, "guests"))
    results.store(os.path.join(directory, "plan.json"), plan)
    return plan


def unsettled(directory, plan):
    """Returns the tasks with a guest that has no verdict yet."""
    found = []
    for number, task in enumerate(plan["tasks"]):
        for index in task["lines"]:
            line = plan["lines"][index]
            best = results.best(line["name"], results.attempts(guest_directory(directory, line)))
            if best is None or not best["verdict"]:
                found.append(number)
                break
    return found


def more_attempts(directory, plan, tasks):
    """Allows each guest of the tasks as many attempts again."""
    for number in tasks:
        plan["rounds"][number] += 1
    results.store(os.path.join(directory, "plan.json"), plan)
