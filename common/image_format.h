/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recognises files that are not raw disk images (compressed files, qcow2, VMDK and other
 * formats) by their first bytes. The result is used only to refuse a file with a helpful
 * message. It never changes how a disk is served, because a guest can write any bytes to
 * its own raw disk.
 */
#ifndef COMMON_IMAGE_FORMAT_H
#define COMMON_IMAGE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes from the start of a file that image_format() needs; aligned for reads with O_DIRECT. */
#define IMAGE_HEAD 4096

struct image_format {
	const char *name;   /* "a qcow2 image" */
	const char *unpack; /* Command that unpacks it; NULL: qemu-img converts it */
};

/* The format of a file that begins with the @len bytes at @head; NULL if it may be a raw image. */
const struct image_format *image_format(const uint8_t *head, size_t len);

#endif
