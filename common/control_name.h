/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Abstract addresses of guests' control sockets: "\0lguest-sep/UID/NAME". They need no
 * file, so nothing is left behind however the guest ends.
 */
#ifndef COMMON_CONTROL_NAME_H
#define COMMON_CONTROL_NAME_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "common/util.h"

#define CONTROL_PREFIX "lguest-sep/"
/* Longest name of a guest, without its NUL. */
#define GUEST_NAME_MAX 60
/* The characters of a name. */
#define GUEST_NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

/* True if @name can be the name of a guest. */
bool control_name_ok(const char *name);
/* Fills *@a with the address of the guest @name of user @uid. Returns the length of the address. */
socklen_t control_address(struct sockaddr_un *a, uid_t uid, const char *name);
/*
 * Parse an address as /proc/net/unix shows it ("@lguest-sep/0/web") into *@uid and @name. Returns false if @text is not
 * such an address.
 */
bool control_parse(const char *text, uid_t *uid, char name[GUEST_NAME_MAX + 1]);

#endif
