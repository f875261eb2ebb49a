/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files made for tests: in memory, by content; gzip streams. Test programs alone. */
#ifndef TESTS_LIB_FILES_H
#define TESTS_LIB_FILES_H

#include <stddef.h>
#include <stdint.h>

/* A memfd with these bytes. */
int file_of(const void *bytes, size_t len);
/* The same, gzip-compressed; then @tail_len bytes of @tail as they are. */
int gzip_of(const void *bytes, size_t len, const void *tail, size_t tail_len);
/* A gzip stream that begins with @head and goes on with @zeroes bytes of zero. */
int gzip_bomb(const void *head, size_t len, uint64_t zeroes);

#endif
