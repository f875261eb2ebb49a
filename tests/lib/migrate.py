# SPDX-License-Identifier: GPL-2.0-or-later
"""migrate.py SOURCE DESTINATION SOCKET DIRECTORY BYTES: let the QEMU whose monitor (QMP) is SOURCE move its guest to the
one at DESTINATION, which waits at SOCKET and was started with -S. While neither of them runs, compare the BYTES of guest
memory of both, by files in DIRECTORY. Then the source ends, and the destination goes on."""
import json
import socket
import sys
import time

LIMIT = 300  # Seconds, of each wait


class Monitor:
    """A connection to QEMU's monitor. Every wait ends after LIMIT."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        wait(lambda: self.connect(path), 'connection to ' + path)
        self.lines = self.socket.makefile('r')
        self.lines.readline()
        self('qmp_capabilities')

    def connect(self, path):
        try:
            self.socket.connect(path)
            return True
        except OSError:
            return False

    def __call__(self, command, **arguments):
        self.socket.sendall((json.dumps({'execute': command, 'arguments': arguments}) + '\n').encode())
        for line in self.lines:
            answer = json.loads(line)
            if 'error' in answer:
                sys.exit('%s: %s' % (command, answer['error']['desc']))
            if 'return' in answer:
                return answer['return']
        sys.exit('%s: QEMU is gone' % command)


def wait(done, what):
    end = time.monotonic() + LIMIT
    while not done():
        if time.monotonic() > end:
            sys.exit('%s: not within %d seconds' % (what, LIMIT))
        time.sleep(0.02)


def main():
    source, destination = Monitor(sys.argv[1]), Monitor(sys.argv[2])
    size = int(sys.argv[5])
    # Slow enough that the guest writes meanwhile.
    source('migrate-set-parameters', **{'max-bandwidth': 20 << 20, 'downtime-limit': 300})
    source('migrate', uri='unix:' + sys.argv[3])
    wait(lambda: source('query-migrate').get('status') in ('completed', 'failed', 'cancelled'), 'migration')
    ended = source('query-migrate')
    if ended['status'] != 'completed':
        sys.exit('migration: %s' % ended)
    wait(lambda: destination('query-status')['status'] != 'inmigrate', 'arrival')
    for monitor, name in ((source, 'source'), (destination, 'destination')):
        if monitor('query-status')['running']:
            sys.exit('%s: it runs' % name)
        monitor('pmemsave', val=0, size=size, filename='%s/%s.memory' % (sys.argv[4], name))
    print('%d rounds of pages, %d pages sent' % (ended['ram']['dirty-sync-count'], ended['ram']['normal']))
    source('quit')
    destination('cont')


main()
