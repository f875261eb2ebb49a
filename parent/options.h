/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files that parse the command line share. Runs in the parent before
 * it has opened anything.
 */
#ifndef PARENT_OPTIONS_H
#define PARENT_OPTIONS_H

#include "common/words.h"
#include "config.h"

/*
 * One line on standard error, made printable, never longer than it must be;
 * returns @status, so that `return complain(EXIT_USAGE, ...)` ends a check.
 */
int complain(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The option under the parser's hand: @opt as the user wrote it, for lines. */
struct parse {
	struct config *c;
	const char *opt; /* "--block" */
};

/* A name that an interface can have. NULL, or what is wrong with it. */
const char *parse_ifname(const char *s, char name[IFNAMSIZ]);
/* Room for @size bytes in config.text, or NULL when it is full. */
char *config_text(struct config *c, size_t size);

/*
 * Cut the next field of a comma-separated list off *@rest into @field (of
 * @size bytes); two commas stand for one. 1: got one, 0: no more, -1: too long.
 */
int next_field(const char **rest, char *field, size_t size);

/* --block=…, --vhost-user-blk=…, --tunnet=…, --net=…, --vhost-user-net=…: -1, or the exit status. */
int parse_block(struct parse *p, const char *value);
int parse_vhost_user_blk(struct parse *p, const char *value);
int parse_tunnet(struct parse *p, const char *value);
int parse_net(struct parse *p, const char *value);
int parse_vhost_user_net(struct parse *p, const char *value);

/* USER[:GROUP] by name or number into uid and gid. -1, or the exit status. */
int parse_drop_to(struct parse *p, const char *value);
/* What root becomes when it says nothing: nobody. -1, or the exit status. */
int default_drop_to(struct config *c);

#endif
