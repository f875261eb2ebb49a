/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --machine= and --cpu=, and what they exclude. */
#ifndef PARENT_OPTIONS_MACHINE_H
#define PARENT_OPTIONS_MACHINE_H

#include "common/options.h"
#include "parent/options/config.h"

/* "x86_64|i386|...[:TYPE]" */
#define MACHINE_CHOICE(sym, text) "|" text
#define FIRMWARE_NAMES		  "auto|none|opensbi|seabios|ovmf|u-boot"
#define MACHINE_ARG		  (&MACHINES(MACHINE_CHOICE) "[:TYPE]"[1])

/* Parsers for the option table. Return NULL, or what is wrong with @value. */
const char *parse_machine(struct opt_parser *p, void *to, const char *value);
const char *parse_firmware(struct opt_parser *p, void *to, const char *value);
const char *parse_cpu(struct opt_parser *p, void *to, const char *value);

/*
 * Check that the other options fit the machine, and choose the qemu engine if the machine needs it. Returns -1, or
 * the exit status after printing the reason.
 */
int machine_check(struct config *c);

#endif
