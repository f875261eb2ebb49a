/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parses the options for the guest's console, its exit port and its named ports. */
#ifndef PARENT_OPTIONS_OUTPUT_H
#define PARENT_OPTIONS_OUTPUT_H

#include "parent/options/util.h"

/* The settings of --console=, --exit-port= and --port=. */
extern const struct opt_row console_settings[], exit_port_settings[], port_settings[];

/* Parsers for the table of options: @to is the struct config. Return NULL, or why @value is refused. */
const char *parse_console(struct opt_parser *p, void *to, const char *value);
const char *parse_exit_port(struct opt_parser *p, void *to, const char *value);
const char *parse_port(struct opt_parser *p, void *to, const char *value);

#endif
