#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hostile_save.py FROM TO SEED: changes a file of lguest-sep --save at places that follow from SEED, and makes its
checksums right again (vcpu/kvm/save_format.h), except those of the data of a disk."""
import random
import struct
import sys
import zlib

HEADER = "<8sIIQQI"
STATE_CRC = 36
PAGE = 4096


def whole(n):
    return (n + PAGE - 1) // PAGE * PAGE


def main():
    with open(sys.argv[1], "rb") as f:
        data = bytearray(f.read())
    rng = random.Random(int(sys.argv[3]))
    _, _, _, mem, pages, state_len = struct.unpack_from(HEADER, data)
    bits_at = PAGE + whole(state_len)
    pages_at = bits_at + whole((mem // PAGE + 7) // 8)
    disks_at = pages_at + pages * PAGE
    # What the guest has changed on its disks, sometimes: the runs' first bytes are the likeliest to matter.
    on_disk = disks_at < len(data) and rng.randrange(4) == 0
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        at = PAGE + rng.randrange(state_len)
        if on_disk:
            at = disks_at + rng.randrange(rng.choice([24, len(data) - disks_at - 4]))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            data[at : at + 4] = rng.choice([b"\0" * 4, b"\xff" * 4, b"\0\0\0\x80"])
        else:
            data[at] = rng.randrange(256)
    struct.pack_into("<I", data, STATE_CRC, zlib.crc32(data[PAGE : PAGE + state_len]))
    struct.pack_into("<I", data, 12, 0)
    struct.pack_into("<I", data, 12, zlib.crc32(data[:PAGE]))
    with open(sys.argv[2], "wb") as f:
        f.write(data)


main()
