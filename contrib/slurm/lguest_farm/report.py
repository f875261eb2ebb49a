# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes rows as JSON lines, JUnit XML and TAP. All text may come from a hostile guest."""

import json
import os
from xml.sax.saxutils import escape, quoteattr

TAIL = 4096  # bytes of a log that JUnit XML contains
# Characters that change the direction of the text around them, or cannot be seen.
HIDDEN = set("\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")


def visible(value, keep=""):
    """Returns text in which each character can be seen and is allowed in XML; the others become \\xNN or \\uNNNN.

    keep: control characters that stay as they are. A backslash is doubled, so that the original can be told.
    """
    out = []
    for c in str(value):
        n = ord(c)
        if c == "\\":
            out.append("\\\\")
        elif c in keep:
            out.append(c)
        elif 0xDC80 <= n <= 0xDCFF:
            out.append(f"\\x{n - 0xDC00:02x}")  # a byte that was not UTF-8
        elif n < 0x20 or 0x7F <= n < 0xA0:
            out.append(f"\\x{n:02x}")
        elif 0xD800 <= n < 0xE000 or n & 0xFFFE == 0xFFFE or 0xFDD0 <= n <= 0xFDEF or c in HIDDEN:
            out.append(f"\\u{n:04x}")
        else:
            out.append(c)
    return "".join(out)


def reason(found):
    """Returns why a row is not ok, in one line."""
    if found["state"] == "missing":
        return f"no verdict: {found['reason']}"
    return f"{found['verdict']} (status {found['status']}), expected {','.join(found['expected'])}"


def write(path, lines):
    """Writes a text file; after an error there is no half of it. Devices and pipes are written directly; -: standard output."""
    if path == "-":
        for line in lines:
            print(line)
        return
    direct = os.path.exists(path) and not os.path.isfile(path)
    # The name that /proc gives to a pipe cannot be opened, so only other names are resolved.
    path = path if direct else os.path.realpath(path)
    temporary = path if direct else f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            for line in lines:
                file.write(line + "\n")
            file.flush()
            if not direct:
                os.fsync(file.fileno())
        if not direct:
            os.rename(temporary, path)
    except BaseException as error:
        if not direct and os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, path) from None
        raise


def jsonl(_title, rows):
    """Yields one JSON object for each guest, in ASCII."""
    for found in rows:
        yield json.dumps(found, sort_keys=True)


def tap(_title, rows):
    """Yields TAP version 13. A guest without a verdict is "not ok"."""
    yield "TAP version 13"
    yield f"1..{len(rows)}"
    for number, found in enumerate(rows, 1):
        name = visible(found["name"]).replace("#", "\\#")
        yield f"{'ok' if found['state'] == 'ok' else 'not ok'} {number} - {name}"
        if found["state"] == "ok":
            continue
        yield "  ---"
        for key in ("verdict", "status", "expected", "host", "job", "attempts", "wall_ms", "message"):
            yield f"  {key}: {json.dumps(found[key])}"
        yield f"  reason: {json.dumps(reason(found))}"
        yield "  ..."


def tail(path):
    """Returns the end of a log as visible text."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - TAIL))
            data = file.read(TAIL)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return visible(data.decode("utf-8", "surrogateescape").replace("\r\n", "\n"), "\n\t")


def junit_case(title, found):
    """Yields the element of one guest."""
    took = (found["wall_ms"] or 0) / 1000
    # quoteattr keeps each attribute on one line, because visible() leaves no line break.
    yield (f"  <testcase classname={quoteattr(visible(title))} name={quoteattr(visible(found['name']))}"
           f" time=\"{took:.3f}\">")
    if found["state"] == "unexpected":
        yield f"    <failure type={quoteattr(visible(found['verdict']))} message={quoteattr(visible(reason(found)))}/>"
    elif found["state"] == "missing":
        yield f"    <error type=\"no verdict\" message={quoteattr(visible(reason(found)))}/>"
    if found["state"] != "ok":
        for name, element in ((".err", "system-err"), ("messages.txt", "system-err"), (".txt", "system-out")):
            logs = [f for f in found["files"] if f.endswith(name) and (name != ".txt" or not f.endswith("messages.txt"))]
            if logs:
                yield f"    <{element}>{escape(tail(logs[-1]))}</{element}>"
    yield "  </testcase>"


def junit(title, rows):
    """Yields JUnit XML: failure is a verdict that was not expected, error is a guest without a verdict."""
    failures = sum(r["state"] == "unexpected" for r in rows)
    errors = sum(r["state"] == "missing" for r in rows)
    took = sum(r["wall_ms"] or 0 for r in rows) / 1000
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (f"<testsuite name={quoteattr(visible(title))} tests=\"{len(rows)}\" failures=\"{failures}\""
           f" errors=\"{errors}\" skipped=\"0\" time=\"{took:.3f}\">")
    for found in rows:
        yield from junit_case(title, found)
    yield "</testsuite>"
