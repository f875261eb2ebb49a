/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that show and control running guests: lguest-sep ps, status, stop and so on. */
#ifndef PARENT_CONTROL_CONTROL_H
#define PARENT_CONTROL_CONTROL_H

#include "common/util.h"

/* True if @word is one of these commands. */
bool control_is_command(const char *word);
/* Runs one; argv[0] is its name. Returns the exit status. */
int control_main(int argc, char **argv);

#endif
