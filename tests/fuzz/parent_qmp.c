/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz: the supervisor's scanner of QMP lines from a QEMU that may be compromised. An event
 * is reported only at the end of a line, and earlier lines do not change the meaning of a
 * line.
 */
#include "parent/supervise/qmp.h"
#include "tests/fuzz/fuzz.h"

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
