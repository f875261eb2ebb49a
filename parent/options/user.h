/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of --net=user. */
#ifndef PARENT_OPTIONS_USER_H
#define PARENT_OPTIONS_USER_H

#include "common/options.h"
#include "parent/options/config.h"

/* forward=tcp:[ADDR:]PORT:GUESTPORT, or udp:. @to is the struct net_option. Returns NULL, or the reason. */
const char *parse_forward(struct opt_parser *p, void *to, const char *value);

/*
 * Check that @n has no setting of --net=user if it is another kind of NIC, and only such settings
 * if it is --net=user. Returns NULL, or the reason with the setting's name.
 */
const char *check_user(struct opt_parser *p, const struct net_option *n);

/* True if both NICs forward the same port. */
bool same_forward(const struct net_option *a, const struct net_option *b);

#endif
