/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recognises files that are not raw disk images by their first bytes. Runs in the parent
 * and in stand-alone blkd, before confinement. It compares fixed bytes and parses nothing.
 */
#include <string.h>

#include "common/image_format.h"
#include "common/util.h"

/* Sources: QEMU's docs/interop and block drivers; the magic(5) entries of file(1). */
static const struct {
	const char *magic;
	uint8_t at, len;
	struct image_format format;
} known[] = {
	{ "QFI\xfb\0\0\0\1", 0, 8, { "a qcow image", NULL } },
	{ "QFI\xfb", 0, 4, { "a qcow2 image", NULL } },
	{ "QED\0", 0, 4, { "a QED image", NULL } },
	{ "KDMV", 0, 4, { "a VMDK image", NULL } },
	{ "COWD", 0, 4, { "a VMDK image", NULL } },
	{ "# Disk DescriptorFile", 0, 21, { "a VMDK image", NULL } },
	{ "\x7f\x10\xda\xbe", 64, 4, { "a VDI image", NULL } },
	{ "vhdxfile", 0, 8, { "a VHDX image", NULL } },
	{ "conectix", 0, 8, { "a VHD image", NULL } },
	{ "WithoutFreeSpace", 0, 16, { "a Parallels image", NULL } },
	{ "WithouFreSpacExt", 0, 16, { "a Parallels image", NULL } },
	{ "Bochs Virtual HD Image", 0, 22, { "a Bochs image", NULL } },
	{ "EVF\x09\x0d\x0a\xff\0", 0, 8, { "an EWF image", "ewfexport" } },
	{ "\x3a\xff\x26\xed", 0, 4, { "an Android sparse image", "simg2img" } },
	{ "\x1f\x8b\x08", 0, 3, { "compressed by gzip", "gzip -d" } },
	{ "\xfd"
	  "7zXZ\0",
	  0,
	  6,
	  { "compressed by xz", "xz -d" } },
	{ "\x28\xb5\x2f\xfd", 0, 4, { "compressed by zstd", "zstd -d" } },
	{ "\x04\x22\x4d\x18", 0, 4, { "compressed by lz4", "lz4 -d" } },
	{ "1AY&SY", 4, 6, { "compressed by bzip2", "bzip2 -d" } },
	{ "\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff", 0, 13, { "compressed by lzma", "xz -d" } },
	{ "\x89LZO\0\x0d\x0a\x1a\x0a", 0, 9, { "compressed by lzop", "lzop -d" } },
	{ "LZIP", 0, 4, { "compressed by lzip", "lzip -d" } },
	{ "PK\3\4", 0, 4, { "a zip archive", "unzip" } },
	{ "7z\xbc\xaf\x27\x1c", 0, 6, { "a 7z archive", "7z x" } },
};

const struct image_format *image_format(const uint8_t *head, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (len >= (size_t)known[i].at + known[i].len &&
		    memcmp(head + known[i].at, known[i].magic, known[i].len) == 0)
			return &known[i].format;
	return NULL;
}
