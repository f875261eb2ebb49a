/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The listening socket of a stand-alone back-end. */
#ifndef COMMON_LISTEN_H
#define COMMON_LISTEN_H

/*
 * Create a listening stream socket at @path. Returns its descriptor (close-on-exec); the
 * caller removes @path in the end. Replaces a socket on which no program listens. On
 * failure it logs the reason and exits with status 1.
 */
int vhu_listen(const char *path);

#endif
