#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""hostile_save.py FROM TO SEED: changes a file of lguest-sep --save at places that follow from SEED, and makes its
checksums right again (vcpu/kvm/save_format.h)."""
import random
import struct
import sys
import zlib

HEADER = "<8sIIQQIIII"
PAGE = 4096


def whole(n):
    return (n + PAGE - 1) // PAGE * PAGE


def main():
    with open(sys.argv[1], "rb") as f:
        data = bytearray(f.read())
    rng = random.Random(int(sys.argv[3]))
    magic, version, _, mem, pages, state_len, _, _, _ = struct.unpack_from(HEADER, data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        at = PAGE + rng.randrange(state_len)
        kind = rng.randrange(4)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            data[at : at + 4] = rng.choice([b"\0" * 4, b"\xff" * 4, b"\0\0\0\x80"])
        else:
            data[at] = rng.randrange(256)
    bits_at = PAGE + whole(state_len)
    pages_at = bits_at + whole((mem // PAGE + 7) // 8)
    crcs = (
        zlib.crc32(data[PAGE : PAGE + state_len]),
        zlib.crc32(data[bits_at:pages_at]),
        zlib.crc32(data[pages_at : pages_at + pages * PAGE]),
    )
    struct.pack_into(HEADER, data, 0, magic, version, 0, mem, pages, state_len, *crcs)
    struct.pack_into("<I", data, 12, zlib.crc32(data[:PAGE]))
    with open(sys.argv[2], "wb") as f:
        f.write(data)


main()
