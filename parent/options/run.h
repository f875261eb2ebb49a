/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses the options for lguest-sep run. */
#ifndef PARENT_OPTIONS_RUN_H
#define PARENT_OPTIONS_RUN_H

#include "parent/options/util.h"

/* The settings of --copy=. */
extern const struct opt_row copy_settings[];

/* Parsers for the table of options: @to is the struct config. Return NULL, or why @value is refused. */
const char *parse_modules(struct opt_parser *p, void *to, const char *value);
const char *parse_copy(struct opt_parser *p, void *to, const char *value);
const char *parse_env(struct opt_parser *p, void *to, const char *value);
const char *parse_root(struct opt_parser *p, void *to, const char *value);
const char *parse_in(struct opt_parser *p, void *to, const char *value);
const char *parse_out(struct opt_parser *p, void *to, const char *value);
const char *parse_checkpoint_at(struct opt_parser *p, void *to, const char *value);
const char *parse_cwd(struct opt_parser *p, void *to, const char *value);

/*
 * Call it after the options. With run, split @words at "--" into the kernel's words and COMMAND, and insert run's own
 * ports. Returns -1 to continue, or the exit status after logging the reason.
 */
int run_words(struct config *c, char **words);

#endif
