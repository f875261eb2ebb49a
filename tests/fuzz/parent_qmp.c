/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the supervisor's scanner of what a QEMU says that the guest may have
 * taken. News comes at the end of a line alone, and each line is judged for
 * itself: what went before changes nothing.
 */
#include "fuzz.h"
#include "parent/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct qmp all, one;
	size_t begin = 0;

	memset(&all, 0, sizeof(all));
	for (size_t i = 0; i < size; i++) {
		enum qmp_news news = qmp_feed(&all, data[i]);

		PROMISE(news <= QMP_HOST_END);
		PROMISE(all.len <= sizeof(all.line));
		if (data[i] != '\n') {
			PROMISE(news == QMP_NOTHING);
			continue;
		}
		memset(&one, 0, sizeof(one));
		for (size_t k = begin; k < i; k++)
			qmp_feed(&one, data[k]);
		PROMISE(qmp_feed(&one, '\n') == news);
		PROMISE(i - begin <= QMP_LINE_MAX || news == QMP_NOTHING);
		begin = i + 1;
	}
	return 0;
}
