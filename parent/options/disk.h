/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses the options for disks. */
#ifndef PARENT_OPTIONS_DISK_H
#define PARENT_OPTIONS_DISK_H

#include "common/options.h"
#include "parent/options/config.h"

/* The settings of --block=. */
extern const struct opt_row block_settings[];

/* The settings of --boot-disk=. */
extern const struct opt_row boot_settings[];

/* The settings of --cdrom=. */
extern const struct opt_row cdrom_settings[];

/* The settings of --root=DISK. */
extern const struct opt_row root_settings[];

/*
 * Add the disk @path, which stays valid, as the root disk of lguest-sep run, with its @settings or NULL. Returns NULL,
 * or why it is refused.
 */
const char *disk_add_root(struct opt_parser *p, struct config *c, const char *path, const char *settings);

/* Parsers for the table of options: @to is the struct config. Return NULL, or why @value is refused. */
const char *parse_block(struct opt_parser *p, void *to, const char *value);
const char *parse_boot_disk(struct opt_parser *p, void *to, const char *value);
const char *parse_cdrom(struct opt_parser *p, void *to, const char *value);
const char *parse_vhost_user_blk(struct opt_parser *p, void *to, const char *value);

#endif
