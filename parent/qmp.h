/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The little of QMP that the supervisor needs from a QEMU that it does not
 * trust: why the guest ended. Fixed memory, one pass, no JSON library.
 */
#ifndef PARENT_QMP_H
#define PARENT_QMP_H

#include "common/util.h"

#define QMP_LINE_MAX 2048

enum qmp_news {
	QMP_NOTHING,
	QMP_GREETING,	 /* answer with QMP_CAPABILITIES */
	QMP_GUEST_RESET, /* SHUTDOWN, guest-reset: the guest reboots */
	QMP_GUEST_OFF,	 /* SHUTDOWN, guest-shutdown */
	QMP_GUEST_PANIC, /* GUEST_PANICKED, or SHUTDOWN with guest-panic */
	QMP_HOST_END,	 /* SHUTDOWN for any other reason: signal, command, error */
};

struct qmp {
	char line[QMP_LINE_MAX];
	size_t len;
	bool too_long; /* this line is dropped up to its end */
};

#define QMP_CAPABILITIES "{\"execute\":\"qmp_capabilities\"}\r\n"
#define QMP_POWERDOWN	 "{\"execute\":\"system_powerdown\"}\r\n"

/* Feed one byte; at the end of a line says what that line was. */
enum qmp_news qmp_feed(struct qmp *q, uint8_t byte);

#endif
