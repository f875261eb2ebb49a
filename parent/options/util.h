/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Functions that the parsers of the command line share. */
#ifndef PARENT_OPTIONS_UTIL_H
#define PARENT_OPTIONS_UTIL_H

#include "common/options.h"
#include "common/words.h"
#include "parent/options/config.h"

/*
 * Print one line to standard error, made printable. Returns @status, so that a check
 * can end with `return complain(EXIT_USAGE, ...)`.
 */
int complain(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Switch the output of complain() off (@on) or on again. Off while the command line of another process is parsed. */
void complain_quietly(bool on);

/* The last line of complain(), without the name of the program; NULL: there was none. */
const char *complaint_last(void);

/* Check that @s can be the name of a network interface and copy it to @name. Returns NULL, or what is wrong. */
const char *parse_ifname(const char *s, char name[IFNAMSIZ]);

/* Allocate @size bytes of config.text. Returns NULL if it is full. */
char *config_text(struct config *c, size_t size);

/*
 * Copy the file name at the start of *@rest to config.text, and move *@rest to the settings after it (NULL: none).
 * Returns the copy, or NULL with the reason in *@why.
 */
const char *config_path(struct config *c, const char **rest, const char **why);

/* Parse USER[:GROUP] (names or numbers) into uid and gid. Returns NULL, or why @value is refused. */
const char *parse_drop_to(struct opt_parser *p, void *to, const char *value);

/* The user that is made for guests (contrib/systemd, debian). */
#define GUEST_USER "_lguest-sep"

/*
 * Without --drop-to, root switches to GUEST_USER if there is such a user, otherwise to nobody. Returns -1 to continue, or the exit status after logging the
 * reason.
 */
int default_drop_to(struct config *c);

#endif
