# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes rows as one HTML file without scripts. All text may come from a hostile guest."""

import html
import math
import os
import time
import urllib.parse
from calendar import timegm

from .report import reason, visible

COLORS = {"ok": "#2e7d32", "unexpected": "#c62828", "missing": "#7b1fa2"}
LABELS = {"ok": "as expected", "unexpected": "not as expected", "missing": "no verdict"}
STYLE = """body { font: 14px sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: 2px 10px; text-align: left; border-bottom: 1px solid #ddd }
td.n { text-align: right } td.n, td:nth-child(2) { white-space: nowrap } tr.unexpected td:nth-child(2) { color: #c62828; font-weight: bold }
tr.missing td:nth-child(2) { color: #7b1fa2; font-weight: bold } svg { margin-right: 2em } svg text { font: 11px sans-serif }"""


def text(value):
    """Returns text that is safe in an element and in an attribute between quotation marks."""
    return html.escape(visible(value), quote=True)


def link(path, base):
    """Returns a link to a log. The address is relative and percent-encoded, so it can only name a file."""
    address = urllib.parse.quote(os.fsencode(os.path.relpath(path, base)))
    return f'<a href="./{address}">{text(os.path.basename(path))}</a>'


def clock(value):
    """Returns a time of a result file in seconds, or None if it is not one."""
    try:
        return timegm(time.strptime(value[:19], "%Y-%m-%dT%H:%M:%S")) + float(value[19:-1] or 0)
    except (TypeError, ValueError, OverflowError):
        return None


def span(milliseconds):
    """Returns a duration for people."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"


def histogram(rows):
    """Returns a plot of run times on a logarithmic axis; one bar for each bin, stacked by state."""
    timed = [(max(1, r["wall_ms"]), r["state"]) for r in rows if r["wall_ms"] is not None]
    if not timed:
        return "<p>No run times.</p>"
    low = math.log10(min(t for t, _ in timed))
    width = max(math.log10(max(t for t, _ in timed)) - low, 0.1)
    bins = [dict.fromkeys(COLORS, 0) for _ in range(24)]
    for value, state in timed:
        bins[min(23, int((math.log10(value) - low) / width * 24))][state] += 1
    most = max(sum(b.values()) for b in bins)
    out = [f'<svg width="520" height="220" role="img" aria-label="run times of {len(timed)} guests">',
           '<text x="40" y="12">guests by run time</text>']
    for index, counts in enumerate(bins):
        y = 190.0
        for state, n in counts.items():
            height = 165 * n / most
            y -= height
            if n:
                out.append(f'<rect x="{40 + index * 19}" y="{y:.1f}" width="17" height="{height:.1f}" fill="{COLORS[state]}"/>')
    for index in (0, 6, 12, 18, 24):
        out.append(f'<text x="{36 + index * 19}" y="206" text-anchor="middle">{span(10 ** (low + width * index / 24))}</text>')
    out.append(f'<text x="36" y="32" text-anchor="end">{most}</text><text x="36" y="190" text-anchor="end">0</text></svg>')
    return "\n".join(out)


def running(rows):
    """Returns a plot of how many guests ran at a time."""
    changes = []
    for found in rows:
        began = clock(found["started"])
        if began is not None and found["wall_ms"] is not None:
            changes += [(began, 1), (began + max(1, found["wall_ms"]) / 1000, -1)]
    if not changes:
        return ""
    changes.sort()
    first, took = changes[0][0], max(changes[-1][0] - changes[0][0], 0.001)
    columns, now = [0] * 481, 0
    for moment, change in changes:
        now += change
        column = int((moment - first) / took * 480)
        columns[column] = max(columns[column], now)
    level, ends = 0, [None] * 481
    for moment, change in changes:
        level += change
        ends[int((moment - first) / took * 480)] = level
    level = 0
    for column, end in enumerate(ends):
        columns[column] = max(columns[column], level)
        level = level if end is None else end
    most = max(columns)
    points = " ".join(f"{40 + x},{190 - 165 * n / most:.1f}" for x, n in enumerate(columns))
    return (f'<svg width="540" height="220" role="img" aria-label="guests that ran at a time">'
            f'<text x="40" y="12">guests running at a time</text><polyline fill="none" stroke="#1565c0" points="{points}"/>'
            f'<text x="36" y="32" text-anchor="end">{most}</text><text x="36" y="190" text-anchor="end">0</text>'
            f'<text x="40" y="206">0</text><text x="520" y="206" text-anchor="end">{span(took * 1000)}</text></svg>')


def table_row(found, base):
    """Returns the table row of one guest."""
    verdict = found["verdict"] or "no verdict"
    numbers = [span(found[k]) if found[k] is not None else "–" for k in ("wall_ms", "cpu_ms")]
    note = "" if found["state"] == "ok" else reason(found)
    if found["message"]:
        note += ("; " if note else "") + found["message"]
    links = " ".join(link(f, base) for f in found["files"])
    return (f'<tr class="{found["state"]}"><td>{text(found["name"])}</td><td>{text(verdict)}</td>'
            f'<td>{text(",".join(found["expected"]))}</td><td class="n">{numbers[0]}</td><td class="n">{numbers[1]}</td>'
            f'<td>{text(found["host"] or "–")}</td><td class="n">{found["attempts"]}</td><td>{text(note)}</td>'
            f'<td>{links}</td></tr>')


def page(title, rows, base):
    """Yields the lines of the report. base: the directory that links are relative to."""
    count = {state: sum(r["state"] == state for r in rows) for state in COLORS}
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>"
    yield f"<title>{text(title)}: {len(rows)} guests</title>\n<style>{STYLE}</style></head><body>"
    yield f"<h1>{text(title)}</h1>\n<p>{len(rows)} guests: " + ", ".join(
        f'<span style="color:{COLORS[s]}" id="{s}">{count[s]} {LABELS[s]}</span>' for s in COLORS) + ".</p>"
    yield f"<div>{histogram(rows)}\n{running(rows)}</div>"
    yield ("<table><thead><tr><th>guest</th><th>verdict</th><th>expected</th><th>time</th><th>processor</th>"
           "<th>host</th><th>attempts</th><th>notes</th><th>logs</th></tr></thead><tbody>")
    order = {"missing": 0, "unexpected": 1, "ok": 2}
    for found in sorted(rows, key=lambda r: order[r["state"]]):
        yield table_row(found, base)
    yield "</tbody></table>\n</body></html>"
