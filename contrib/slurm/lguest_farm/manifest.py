# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a manifest: one guest a line, its limits and its expected verdict (see README.md)."""

import re
import shlex

VERDICTS = ("pass", "fail", "panic", "timeout", "reboot", "memory", "fault", "died")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
OURS = ("--timeout", "--result", "--console", "--quiet", "-q", "--verbose", "--detach", "--stats")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class ManifestError(Exception):
    """The manifest is wrong; the text names file, line, and what to do."""


def expected(word):
    """Returns the list of verdicts that the word of expect= accepts."""
    found = []
    for part in word.split(","):
        if re.fullmatch(r"[0-9]{1,3}", part) and int(part) <= 255:
            found.append(str(int(part)))
        elif part in VERDICTS:
            found.append(part)
        else:
            raise ValueError(f"expect={word}: expected {', '.join(VERDICTS)} or an exit status (0 to 255)")
    return found


def seconds(word):
    """Returns the time limit of a guest in seconds."""
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", word) or not 0 < float(word) <= 604800:
        raise ValueError(f"timeout={word}: expected seconds, more than 0 and at most 604800")
    return float(word)


def mebibytes(word):
    """Returns the memory of a job in MiB, rounded up; a number without a unit is in MiB."""
    match = re.fullmatch(r"([0-9]{1,12})([KMGT]?)", word)
    size = int(match[1]) * UNITS[match[2] or "M"] if match else 0
    if not size:
        raise ValueError(f"memory={word}: expected a size such as 512M or 2G")
    return (size + (1 << 20) - 1) >> 20


def processors(word):
    """Returns the number of processors of a job."""
    if not re.fullmatch(r"[0-9]{1,4}", word) or not 1 <= int(word) <= 1024:
        raise ValueError(f"cpus={word}: expected 1 to 1024")
    return int(word)


SETTINGS = {"expect": expected, "timeout": seconds, "memory": mebibytes, "cpus": processors}


def parse_line(text, defaults):
    """Returns the description of one guest; raises ValueError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"a quotation mark or a backslash at the end is not closed ({error})") from None
    if "--" not in words:
        raise ValueError("expected NAME [SETTING...] -- [run] OPTIONS MEM-MB KERNEL...; there is no --")
    cut = words.index("--")
    if not cut:
        raise ValueError("expected a name before --")
    line = dict(defaults, name=words[0])
    seen = set()
    for word in words[1:cut]:
        key, _, value = word.partition("=")
        if key not in SETTINGS:
            raise ValueError(f"{word}: no setting of this name; there are expect=, timeout=, memory=, cpus=")
        if key in seen:
            raise ValueError(f"{key}= is given twice")
        seen.add(key)
        line[key] = SETTINGS[key](value)
    rest = words[cut + 1:]
    if words[0] == "*":
        return dict(line, options=rest)
    line["run"] = rest[:1] == ["run"]
    line["words"] = line.pop("options") + rest[1 if line["run"] else 0:]
    check_words(line["words"])
    return line


def check_words(words):
    """Refuses options that the farm sets itself, and a line without a kernel; raises ValueError."""
    if "\0" in "".join(words):
        raise ValueError("a word contains a NUL byte")
    options = []
    for word in words:
        if not word.startswith("-") or word == "--":
            break
        options.append(word)
    for option in options:
        if option.partition("=")[0] in OURS:
            raise ValueError(f"{option}: the farm sets this option itself (time limit: timeout=SECONDS before --)")
    if len(options) == len(words):
        raise ValueError("expected MEM-MB and a kernel after the options")


def read(path):
    """Returns the guests of a manifest in its order; raises ManifestError or OSError."""
    start = {"expect": ["pass"], "timeout": 60.0, "memory": 512, "cpus": 1, "options": []}
    defaults, lines, names = dict(start), [], {}
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, text in enumerate(file, 1):
            text = text.strip()
            if not text or text.startswith("#"):
                continue
            try:
                line = parse_line(text, start if text.split()[0] == "*" else defaults)
                name = line.pop("name")
                if name == "*":
                    defaults = line
                    continue
                if not NAME.fullmatch(name):
                    raise ValueError(f"{ascii(name)} cannot be a name: use letters, digits, '.', '_' and '-', at most 100")
                if name in names:
                    raise ValueError(f"the name {name} is taken by line {names[name]}")
            except ValueError as error:
                raise ManifestError(f"{path}:{number}: {error}") from None
            names[name] = number
            lines.append(dict(line, name=name))
    if not lines:
        raise ManifestError(f"{path}: no guests in this manifest")
    return lines
