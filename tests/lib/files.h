/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes memory files with given content and gzip streams. For test programs only. */
#ifndef TESTS_LIB_FILES_H
#define TESTS_LIB_FILES_H

#include <stddef.h>
#include <stdint.h>

/* Returns a memfd with these bytes. */
int file_of(const void *bytes, size_t len);
/* The same, gzip-compressed; then @tail_len bytes of @tail as they are. */
int gzip_of(const void *bytes, size_t len, const void *tail, size_t tail_len);
/* A gzip stream that begins with @head and goes on with @zeroes bytes of zero. */
int gzip_bomb(const void *head, size_t len, uint64_t zeroes);

#endif
