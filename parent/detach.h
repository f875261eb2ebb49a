/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --detach: run the guest in the background; the command exits when the guest runs. */
#ifndef PARENT_DETACH_H
#define PARENT_DETACH_H

/*
 * Continue in a child in a new session, with /dev/null as standard input and output. In the child, returns -1; the
 * caller writes a line (the guest's name) to the pipe *@tell when the guest runs. Until then messages on standard error
 * reach the user. The process that the user started waits for that line or for the child's end, and returns the exit
 * status. If it is killed before, the guest ends too.
 */
int detach(int *tell);

#endif
