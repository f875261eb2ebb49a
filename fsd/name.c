/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names in the arguments of requests. Runs in fsd, confined. */
#include <errno.h>
#include <string.h>

#include "fsd/name.h"

int fsd_name(const struct fs_req *r, uint32_t *at, const char **name)
{
	const char *text = (const char *)r->args + *at;
	size_t len = r->have > *at ? strnlen(text, r->have - *at) : 0;
	bool good;

	if (len > NODE_NAME_MAX)
		return -ENAMETOOLONG;
	*at += (uint32_t)len + 1;
	*name = text;
	good = len && *at <= r->have && !memchr(text, '/', len) && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
	return good ? 0 : -EINVAL;
}
