/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses --share= and --vhost-user-fs=. */
#ifndef PARENT_OPTIONS_SHARE_H
#define PARENT_OPTIONS_SHARE_H

#include "common/options.h"
#include "parent/options/config.h"

/* The settings of --share=, --out= and --vhost-user-fs=. */
extern const struct opt_row share_settings[], out_settings[], foreign_share_settings[];

/*
 * Add the share of the directory @path, with the tag @tag, as the option @option asks for. Returns NULL, or why there can
 * be no more.
 */
const char *share_add(struct opt_parser *p, struct config *c, const char *path, const char *tag, const char *option);
/* Add the share of --out=DIR[,max=SIZE]. Returns NULL, or why @value is refused. */
const char *share_add_out(struct opt_parser *p, struct config *c, const char *value);
/* Parser for the table of options: @to is the struct config. Returns NULL, or why @value is refused. */
const char *parse_share(struct opt_parser *p, void *to, const char *value);
const char *parse_vhost_user_fs(struct opt_parser *p, void *to, const char *value);

#endif
