/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Appends words to QEMU's command line, in fixed memory. Runs in the vCPU process before QEMU is executed. */
#include "common/fmt.h"
#include "vcpu/qemu/words.h"

void qemu_add(struct qemu_args *a, const char *fmt, ...)
{
	size_t room = sizeof(a->text) - a->used;
	size_t n;
	va_list ap;

	if (a->argc == QEMU_MAX_ARGS || room < 2) {
		a->full = true;
		return;
	}
	va_start(ap, fmt);
	n = fmt_vline(a->text + a->used, room, fmt, ap);
	va_end(ap);
	if (n + 1 >= room) {
		a->full = true;
		return;
	}
	a->argv[a->argc++] = a->text + a->used;
	a->used += n + 1;
}
