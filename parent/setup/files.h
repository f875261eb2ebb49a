/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens programs, kernel, initrd and output files in the privileged window. */
#ifndef PARENT_SETUP_FILES_H
#define PARENT_SETUP_FILES_H

#include "parent/setup/setup.h"

/* Open the executables of the roles that @h needs. Returns 0, or -1 after logging the reason. */
int open_programs(struct host *h);

/* Open one program of ours by name, in the same places. Returns its descriptor, or -1 after logging the reason. */
int open_own_program(const char *name);

/*
 * Open a file for the guest's output. Creates it if it does not exist, and empties a regular file. @what precedes the
 * path in messages: "--console=". Returns the descriptor, or -1 after logging the reason.
 */
int open_output_file(const char *path, const char *what);

/*
 * Open the file of pcap= for appending. Creates it with access for its owner only, or empties it; refuses anything but
 * a regular file. @who: the option, for messages. Returns the descriptor, or -1 after logging the reason.
 */
int open_capture_file(const char *path, const char *who);

/*
 * Open a non-empty regular file for reading. @what precedes the path in messages: "kernel ", "--initrd=". Returns the
 * descriptor, or -1 after logging the reason.
 */
int open_boot_file(const char *path, const char *what);

/* Create the file of --save, if there is one, with access for its owner only. Returns 0, or -1 after logging the reason. */
int open_save_file(struct host *h);

/* Returns the type of a file for messages, such as "a directory". */
const char *file_kind(mode_t mode);

#endif
