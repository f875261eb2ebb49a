/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports to the service manager that started us (systemd: Type=notify, sd_notify(3)). */
#ifndef PARENT_SETUP_NOTIFY_H
#define PARENT_SETUP_NOTIFY_H

/*
 * Connect to the datagram socket that the environment variable NOTIFY_SOCKET names, and remove the variable. Returns a
 * non-blocking, close-on-exec descriptor, or -1: no service manager waits for us, or after logging why it cannot be
 * reached.
 */
int notify_open(void);

/*
 * Send @text, lines such as "READY=1", to the service manager on @fd; -1: none. Never blocks. Allowed under the
 * supervisor's filter.
 */
void notify_send(int fd, const char *text);

/* We are about to end: send that, and @why as the line that systemctl status shows. NULL: send nothing. */
void notify_status(int fd, const char *why);

#endif
