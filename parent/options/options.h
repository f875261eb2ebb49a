/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses the command line. Runs in the parent before it opens anything.
 */
#ifndef PARENT_OPTIONS_H
#define PARENT_OPTIONS_H

#include "parent/options/config.h"

/*
 * Parse the command line into *@c and determine the target user. Returns -1 to start a
 * guest; otherwise the exit status, after printing the help or version, or one line
 * about what is wrong.
 */
int options_parse(int argc, char **argv, struct config *c);

/* The same, but without the target user: does not depend on who calls it. */
int options_read(int argc, char **argv, struct config *c);
/*
 * Parse the command line of another process, whose working directory is @dir, without printing anything. Returns true
 * if it starts a guest.
 */
bool options_peek(int argc, char **argv, const char *dir, struct config *c);

#endif
