/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON strings on a stdio stream. */
#ifndef PARENT_JSON_H
#define PARENT_JSON_H

#include <stdio.h>

/* Print @s in quotes; bytes that are not printable ASCII become \u escapes. */
void json_string(FILE *f, const char *s);
/* Print one member of an object to standard output, then @end (", ", "}\n"). */
void json_member(const char *key, const char *value, const char *end);

#endif
