# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the guests of one task (one element of a job array), one after the other."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time

from . import plan as plans
from . import results

MOST_OUTPUT = 1 << 20  # bytes that are kept of each output of a guest
STOP = {"signal": 0}


def on_signal(number, _frame):
    """Remembers that the task was told to end."""
    STOP["signal"] = number


def utc(seconds):
    """Returns a time in the form of the result files."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def job_name():
    """Returns the Slurm job, such as 17_3, or None outside of Slurm."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    if array and index:
        return f"{array}_{index}"
    return os.environ.get("SLURM_JOB_ID")


def host_name():
    """Returns the name of this host, as Slurm knows it."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def claim(directory):
    """Makes the directory of a new attempt and returns its path. Two tasks never get the same one."""
    os.makedirs(directory, exist_ok=True)
    last = results.attempts(directory)
    number = int(os.path.basename(last[-1])) if last else 0
    while True:
        number += 1
        path = os.path.join(directory, str(number))
        try:
            os.mkdir(path)
            return path
        except FileExistsError:
            continue


def command(plan, line, path):
    """Returns the command line of a guest."""
    words = [plan["program"]] + (["run"] if line["run"] else [])
    words += ["--quiet", f"--timeout={line['timeout']:g}", f"--result={path}/result.json",
              f"--console={path}/console.txt,max=1M"]
    return words + line["words"]


def copy_outputs(child, path):
    """Keeps the first MOST_OUTPUT bytes of each output until the guest has ended; returns the number of bytes dropped."""
    dropped, limit = 0, None
    with selectors.DefaultSelector() as waiting:
        for pipe, name in ((child.stdout, "output.txt"), (child.stderr, "messages.txt")):
            file = open(os.path.join(path, name), "wb", buffering=0)
            waiting.register(pipe, selectors.EVENT_READ, [file, MOST_OUTPUT])
        while waiting.get_map():
            if STOP["signal"]:
                limit = limit or stop(child)
                if time.monotonic() > limit:
                    child.kill()
            for key, _ in waiting.select(0.2):
                data = os.read(key.fileobj.fileno(), 65536)
                if not data:
                    waiting.unregister(key.fileobj)
                    key.data[0].close()
                    continue
                keep = data[:key.data[1]]
                key.data[1] -= len(keep)
                dropped += len(data) - len(keep)
                try:
                    key.data[0].write(keep)
                except OSError:
                    dropped += len(keep)  # The disk is full: the guest and its verdict go on.
    return dropped


def stop(child):
    """Asks a guest to power off; returns the time at which the caller kills it."""
    child.terminate()
    return time.monotonic() + 10


def run_attempt(plan, line, path):
    """Runs a guest once and writes record.json."""
    began = time.time()
    about = {"schema": 1, "host": host_name(), "job": job_name(), "started": utc(began)}
    results.store(os.path.join(path, "begun.json"), about)
    record = dict(about, status=None, message=None, interrupted=False, output_dropped=0)
    try:
        child = subprocess.Popen(command(plan, line, path), cwd=plan["cwd"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        record["message"] = f"cannot start {plan['program']}: {error.strerror}"
    else:
        record["output_dropped"] = copy_outputs(child, path)
        status = child.wait()
        record["status"] = status if status >= 0 else 128 - status
    record["wall_ms"] = int((time.time() - began) * 1000)
    record["interrupted"] = STOP["signal"] != 0
    results.store(os.path.join(path, "record.json"), record)
    if os.path.exists(os.path.join(path, "output.txt")) and not os.path.getsize(os.path.join(path, "output.txt")):
        os.unlink(os.path.join(path, "output.txt"))


def settled(plan, directory, line, index):
    """True if a guest needs no more attempts: it has a verdict, or had all its attempts."""
    done = results.attempts(plans.guest_directory(directory, line))
    if len(done) >= plan["attempts"] * plan["rounds"][index]:
        return True
    return any(results.outcome(line["name"], path)["verdict"] for path in done)


def run_all(plan, directory, task):
    """Runs each guest of a task that is not settled, once; returns those that still are not."""
    left = []
    for index in plan["tasks"][task]["lines"]:
        line = plan["lines"][index]
        if settled(plan, directory, line, task):
            continue
        if STOP["signal"]:
            left.append(line)
            continue
        run_attempt(plan, line, claim(plans.guest_directory(directory, line)))
        if not settled(plan, directory, line, task):
            left.append(line)
    return left


def requeue():
    """Asks Slurm to run this task again, on whichever host; does not return if Slurm does it."""
    job = job_name()
    print(f"lguest-farm: a fault of host {host_name()}; asking Slurm to run job {job} again", file=sys.stderr, flush=True)
    try:
        status = subprocess.run(["scontrol", "requeue", job], timeout=120, check=False).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"lguest-farm: scontrol requeue: {error}", file=sys.stderr)
        return
    end = time.monotonic() + 60
    while status == 0 and not STOP["signal"] and time.monotonic() < end:
        time.sleep(0.2)


def main(directory, task):
    """Runs task number task of the farm in directory; returns the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    directory = os.path.abspath(directory)
    plan = plans.load(directory)
    if not 0 <= task < len(plan["tasks"]):
        raise plans.PlanError(f"{directory} has no task {task}; it has 0 to {len(plan['tasks']) - 1}")
    left = run_all(plan, directory, task)
    while left and not STOP["signal"]:
        if job_name():
            requeue()
            break
        time.sleep(1)
        left = run_all(plan, directory, task)
    return 1 if left else 0
