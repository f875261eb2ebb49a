/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of QMP (QEMU's monitor protocol) that the supervisor needs: why the guest
 * ended or stopped, when it opened its console, and the results of two commands. QEMU is not trusted. Fixed memory, one
 * pass, no JSON library.
 */
#ifndef PARENT_QMP_H
#define PARENT_QMP_H

#include "common/util.h"

#define QMP_LINE_MAX 2048

enum qmp_news {
	QMP_NOTHING,
	QMP_GREETING,	  /* QEMU's greeting; answer with QMP_CAPABILITIES and QMP_CONT. */
	QMP_GUEST_RESET,  /* Event SHUTDOWN, reason guest-reset: the guest reboots. */
	QMP_GUEST_OFF,	  /* Event SHUTDOWN, reason guest-shutdown. */
	QMP_GUEST_PANIC,  /* Event GUEST_PANICKED, or SHUTDOWN with reason guest-panic. */
	QMP_CONSOLE_OPEN, /* Event VSERPORT_CHANGE with open true: the guest has opened hvc0. */
	QMP_STOPPED,	  /* Event STOP: the guest does not run. */
	QMP_BREAK_SENT,	  /* Result of QMP_BREAK: done. */
	QMP_BREAK_FAILED, /* Result of QMP_BREAK: an error. */
	QMP_NMI_SENT,	  /* Result of QMP_NMI: done. */
	QMP_NMI_FAILED,	  /* Result of QMP_NMI: an error. */
	QMP_HOST_END,	  /* Event SHUTDOWN for any other reason: a signal, a command, an error. */
};

struct qmp {
	char line[QMP_LINE_MAX];
	size_t len;
	bool too_long; /* Ignore the rest of this line. */
};

#define QMP_CAPABILITIES "{\"execute\":\"qmp_capabilities\"}\r\n"
#define QMP_CONT	 "{\"execute\":\"cont\"}\r\n"
#define QMP_POWERDOWN	 "{\"execute\":\"system_powerdown\"}\r\n"
#define QMP_STOP	 "{\"execute\":\"stop\"}\r\n"
#define QMP_NMI		 "{\"execute\":\"inject-nmi\",\"id\":\"nmi\"}\r\n"
/* A break on the serial port; @chardev: a string constant. */
#define QMP_BREAK(chardev) \
	"{\"execute\":\"chardev-send-break\",\"arguments\":{\"id\":\"" chardev "\"},\"id\":\"break\"}\r\n"

/* Process one byte from QEMU. Returns the meaning of a line at its end, otherwise QMP_NOTHING. */
enum qmp_news qmp_feed(struct qmp *q, uint8_t byte);

#endif
