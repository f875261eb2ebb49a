# SPDX-License-Identifier: GPL-2.0-or-later
"""farm_hostile.py LGUEST-FARM: makes a job log and results with hostile text in the working directory,
lets lguest-farm report them, and reads each report with a parser. Exit status 1 and a line: something came through."""

import html.parser
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

TEXTS = [
    b"<script>document.title='owned'</script>",
    b"'\"><img src=x onerror=\"document.title='owned'\">",
    b"</td></tr></table><svg onload=alert(1)>",
    b"]]></system-out><testcase name='extra'/>",
    b"&lt;&amp;&#x3c;script&#x3e;",
    b"ok # SKIP nothing\\",
    b"# TODO \x1b[2J\x1b]0;owned\x07\x00\x01\x08\x0b\x0c\x7f",
    b"line\nok 99 - forged\r\nBail out!",
    b"\xff\xfe\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80",
    b"\xc2\x85\xe2\x80\xae\xe2\x80\xa8\xef\xbf\xbf\xef\xbb\xbf",
    "gr\u00fc\u00df \u2603 \U0001f600".encode(),
    b"javascript:document.title='owned'",
]
# JSON texts that are no result, or a strange one.
STRANGE = [
    b"", b"[]", b"null", b'"panic"', b'{"end":' + b"[" * 100000, b'{"end":{"a":1},"status":0}', b'{"end":"poweroff","status":1e999}',
    b'{"end":"poweroff","status":true}', b'{"end":"poweroff","status":-1}', b'{"end":"poweroff","status":NaN}',
    b'{"end":"panic","status":3,"kernel":7,"supervisor":[1],"guest":"x"}',
    b'{"end":"panic","status":3,"supervisor":{"wall_ms":1e400,"started":5,"roles":{"a":1},"message":["x"]}}',
    b'{"end":"panic","status":3,"supervisor":{"wall_ms":' + b"9" * 30 + b',"started":"9999-99-99Tx","roles":[3]}}',
    b'{"end":"panic","status":3,"kernel":"\\ud800\\udc","name":"\\u0000"}', b'{"end":"panic","status":3,"kernel":"\\ud800\\uffff\\udcff"}',
]


class Page(html.parser.HTMLParser):
    """Collects the elements and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.elements, self.bad, self.rows, self.title, self.inside = set(), [], 0, "", False

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.rows += tag == "tr"
        self.inside = tag == "title"
        for key, value in attrs:
            if key.startswith("on") or key in ("src", "srcdoc") or (key == "href" and not value.startswith("./")):
                self.bad.append((tag, key, value))

    def handle_data(self, data):
        self.title += data if self.inside else ""

    def handle_endtag(self, tag):
        self.inside = False


def result(text):
    """Returns a result file whose every string is the hostile text, as lguest-sep writes bytes outside ASCII."""
    word = text.decode("latin-1")
    return json.dumps({
        "schema": 1, "version": word, "name": word, "kernel": word, "end": "panic", "status": 3, "engine": "kvm",
        "supervisor": {"message": word, "started": "2026-01-01T00:00:00.000Z", "wall_ms": 5, "roles": []},
        "vcpu": {"end": "panic", "text": word, "faults": 0}, "guest": {"panic": word},
    }).encode()


def make():
    """Writes the files; returns the number of jobs."""
    jobs = [(t, result(t), 3) for t in TEXTS] + [(b"strange", s, 3) for s in STRANGE]
    os.mkdir("results")
    with open("jobs.tsv", "wb") as log:
        log.write(b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n")
        for number, (text, content, status) in enumerate(jobs, 1):
            log.write(b"%d\t%s\t1767225600.5\t     0.123\t0\t0\t%d\t0\t%s\n" % (number, text.replace(b"\n", b" ").replace(b"\t", b" "), status, text))
            with open(f"results/{number}.json", "wb") as file:
                file.write(content)
            for name in ("txt", "err"):
                with open(f"results/{number}.{name}", "wb") as file:
                    file.write(text * 500)
    return len(jobs)


def check(condition, text):
    """Ends the program if something is wrong."""
    if not condition:
        sys.exit(f"farm_hostile: {text}")


def check_text(name, lines):
    """No byte of a report can change a terminal or is invisible."""
    for c in "\x00\x01\x07\x08\x0b\x0c\x0d\x1b\x7f\x85\u202e\u2028\ufeff\uffff\ufffd":
        check(c not in lines, f"{name} contains {ascii(c)}")


def check_page(count):
    """Reads the HTML report."""
    text = open("report.html", encoding="utf-8").read()
    check_text("HTML", text)
    page = Page()
    page.feed(text)
    allowed = set("html head meta title style body h1 p span div svg rect text polyline table thead tbody tr th td a".split())
    check(page.elements <= allowed, f"elements {page.elements - allowed}")
    check(not page.bad, f"attributes {page.bad}")
    check(page.rows == count + 1, f"{page.rows} rows in the table")
    check(page.title == f"jobs.tsv: {count} guests", page.title)
    check("&lt;script&gt;document.title=&#x27;owned&#x27;&lt;/script&gt;" in text, "the name with a script element is not shown")


def main():
    """Makes the reports and checks them."""
    count = make()
    done = subprocess.run([sys.argv[1], "collect", "--joblog=jobs.tsv", "--html=report.html", "--junit=junit.xml",
                           "--tap=all.tap", "--jsonl=all.jsonl"], stderr=subprocess.PIPE, check=False, timeout=300)
    check(done.returncode == 3, f"exit status {done.returncode}: {done.stderr!r}")
    check_text("summary", done.stderr.decode())
    check_page(count)

    check_text("JUnit XML", open("junit.xml", encoding="utf-8", newline="").read())
    suite = xml.etree.ElementTree.parse("junit.xml").getroot()
    check(len(suite) == count == int(suite.get("tests")), f"{len(suite)} cases in JUnit XML")
    check({e.tag for e in suite.iter()} == {"testsuite", "testcase", "failure", "error", "system-out", "system-err"}, "elements of JUnit XML")
    check(suite[0].get("name") == "1 <script>document.title='owned'</script>", suite[0].get("name"))
    check(suite[10].get("name") == "11 gr\u00fc\u00df \u2603 \U0001f600", suite[10].get("name"))
    check(suite[10].find("system-out").text.endswith("\U0001f600"), "text of other languages")

    tap = open("all.tap", encoding="utf-8", newline="").read()
    check_text("TAP", tap)
    tap = tap.splitlines()
    check(sum(line.startswith(("ok ", "not ok ")) for line in tap) == count, "lines of TAP")
    check(not any(line.startswith("Bail") or ("SKIP" in line and "\\# SKIP" not in line) for line in tap if line.startswith(("ok", "not", "B"))),
          "a directive in TAP")

    rows = [json.loads(line, parse_constant=int) for line in open("all.jsonl", encoding="ascii")]
    check(len(rows) == count, f"{len(rows)} JSON lines")
    check(not any(r["verdict"] == "pass" for r in rows), "a damaged result passes")


if __name__ == "__main__":
    main()
