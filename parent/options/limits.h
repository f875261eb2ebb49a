/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses --timeout=, --cpu-timeout=, --reset-on=, --cpus= and --cgroup-parent=. */
#ifndef PARENT_OPTIONS_LIMITS_H
#define PARENT_OPTIONS_LIMITS_H

#include "common/options.h"
#include "parent/options/config.h"

/* Parsers for the table of options: @to is the struct config. They return NULL, or why @value is refused. */
const char *parse_timeout(struct opt_parser *p, void *to, const char *value);
const char *parse_cpu_timeout(struct opt_parser *p, void *to, const char *value);
const char *parse_reset_on(struct opt_parser *p, void *to, const char *value);
const char *parse_cpus(struct opt_parser *p, void *to, const char *value);
const char *parse_cgroup_parent(struct opt_parser *p, void *to, const char *value);

extern const struct opt_row reset_on_settings[]; /* Into struct reset_on_option */

#endif
