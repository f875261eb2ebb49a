# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the results of guests. Their content is not trusted: a guest can choose parts of the text."""

import json
import math
import os

MOST = 4 << 20  # bytes of a result that are read

# What the conclusion of the supervisor ("end" in docs/result.schema.json) says about the guest.
# The others (host, signal, unfinished) say nothing about it: they are faults of the host.
VERDICT_OF_END = {
    "panic": "panic",
    "timeout": "timeout",
    "cpu-timeout": "timeout",
    "reboot": "reboot",
    "out-of-memory": "memory",
    "fault": "fault",
    "role-died": "died",
    "restarts": "died",
}
HOST_ENDS = ("host", "signal", "unfinished")


def load(path, most=MOST):
    """Returns the JSON object of a file, or None if there is none, it is damaged, or it has more bytes than most."""
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
        value = json.loads(data, parse_float=finite, parse_constant=finite) if len(data) <= most else None
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and shallow(value, 32) else None


def finite(word):
    """Returns a number of a JSON text. Infinity and NaN are not JSON, and could not be written again."""
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(word)
    return value


def shallow(value, depth):
    """True if lists and objects are nested at most depth times."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return depth > 0 and all(shallow(v, depth - 1) for v in value)


def store(path, value):
    """Writes a JSON object so that the file has either all of it or does not exist."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(value, file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def part(value, *keys):
    """Returns value[key][key]..., or None if that does not exist."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def number(value):
    """Returns a whole number that is not negative and not absurd, otherwise None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def text(value):
    """Returns a string or None."""
    return value if isinstance(value, str) else None


def host_text(value):
    """Returns a string of a result file. lguest-sep writes each byte outside ASCII as one character."""
    if not isinstance(value, str):
        return None
    try:
        return value.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value


def verdict_of(result):
    """Returns the verdict of a result file; None: it is a fault of the host, or not finished."""
    end, status = part(result, "end"), number(part(result, "status"))
    if status is None or not isinstance(end, str):
        return None
    if end in ("poweroff", "exit-port"):
        return "pass" if status == 0 else "fail"
    return VERDICT_OF_END.get(end)


def processor_ms(result):
    """Returns the processor time of all processes of a guest, in ms, or None."""
    roles = part(result, "supervisor", "roles")
    if not isinstance(roles, list):
        return None
    times = [number(part(role, "cpu_ms")) for role in roles]
    return sum(times) if times and None not in times else None


def row(name, result, record, has_result=None):
    """Returns what is known of one attempt. verdict None: settled nothing, reason says why.

    record is the note of the task that ran it (or of GNU parallel's job log), or None if there is none.
    """
    verdict = verdict_of(result)
    status = number(part(result, "status"))
    if status is None:
        status = number(part(record, "status"))
    found = {
        "name": name,
        "verdict": verdict,
        "status": status,
        "host": text(part(record, "host")),
        "job": text(part(record, "job")),
        "started": text(part(result, "supervisor", "started")) or text(part(record, "started")),
        "wall_ms": number(part(result, "supervisor", "wall_ms")),
        "cpu_ms": processor_ms(result),
        "message": host_text(part(result, "supervisor", "message")) or text(part(record, "message")),
        "reason": None,
    }
    if found["wall_ms"] is None:
        found["wall_ms"] = number(part(record, "wall_ms"))
    if verdict is None:
        explain(found, result, record, has_result)
    return found


def explain(found, result, record, has_result):
    """Sets the verdict of a wrong command line, otherwise the reason why there is no verdict."""
    status, end = found["status"], part(result, "end")
    if result is None and not has_result and status in (2, 125):
        # lguest-sep writes no result only if the command line is wrong.
        found["verdict"] = "usage"
    elif end == "host":
        found["reason"] = "the host could not start the guest"
    elif end == "signal":
        found["reason"] = "ended by a signal from outside"
    elif result is None and has_result:
        found["reason"] = "the result file is damaged"
    elif end == "unfinished" or record is None:
        found["reason"] = "the attempt did not end: its host or its job died"
    elif end is None:
        found["reason"] = f"no result file; exit status {status}"
    else:
        found["reason"] = "the result file has an unknown end"


def meets(found, expect):
    """True if a verdict is one of the expected ones."""
    if found["verdict"] is None:
        return False
    return found["verdict"] in expect or (found["status"] is not None and str(found["status"]) in expect)


def attempts(directory):
    """Returns the paths of a guest's attempts in their order."""
    try:
        numbers = sorted(int(n) for n in os.listdir(directory) if n.isascii() and n.isdigit())
    except FileNotFoundError:
        numbers = []
    return [os.path.join(directory, str(n)) for n in numbers]


def outcome(name, path):
    """Returns the row of one attempt, with its files."""
    file = os.path.join(path, "result.json")
    result = load(file)
    record = load(os.path.join(path, "record.json"))
    found = row(name, result, record, os.path.exists(file) and os.path.getsize(file) > 0)
    if record is None or record.get("interrupted"):
        # A guest that powers off after SIGTERM has the end "poweroff", which is no verdict: the job was cancelled.
        found["verdict"] = None
        found["reason"] = "ended by a signal from outside" if record else "the attempt did not end: its host or its job died"
    found["result"] = result
    found["files"] = [os.path.join(path, f) for f in ("output.txt", "console.txt", "messages.txt", "result.json")
                      if os.path.exists(os.path.join(path, f))]
    begun = load(os.path.join(path, "begun.json"))
    for key in ("host", "job", "started"):
        found[key] = found[key] or text(part(begun, key))
    return found


def best(name, paths):
    """Returns the row of a guest: its first attempt with a verdict, otherwise the last one, or None."""
    rows = []
    for path in paths:
        rows.append(outcome(name, path))
    settled = [r for r in rows if r["verdict"]]
    if not rows:
        return None
    chosen = dict((settled or rows[-1:])[0])
    chosen["attempts"] = len(rows)
    chosen["more_verdicts"] = max(0, len(settled) - 1)
    chosen["faults"] = [{"host": r["host"], "reason": r["reason"]} for r in rows if not r["verdict"]]
    return chosen
