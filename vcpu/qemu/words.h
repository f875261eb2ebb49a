/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Appends words to QEMU's command line. */
#ifndef VCPU_QEMU_WORDS_H
#define VCPU_QEMU_WORDS_H

#include "common/util.h"
#include "vcpu/qemu/args.h"

/* Append one word; sets a->full if it does not fit. */
void qemu_add(struct qemu_args *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
