/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses the options for NICs. */
#ifndef PARENT_OPTIONS_NET_H
#define PARENT_OPTIONS_NET_H

#include "common/options.h"

/* The settings of --net= and --tunnet=. */
extern const struct opt_row net_settings[];

/* Parsers for the table of options: @to is the struct config. Return NULL, or why @value is refused. */
const char *parse_tunnet(struct opt_parser *p, void *to, const char *value);
const char *parse_net(struct opt_parser *p, void *to, const char *value);
const char *parse_vhost_user_net(struct opt_parser *p, void *to, const char *value);

#endif
