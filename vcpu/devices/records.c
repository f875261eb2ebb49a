/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of a saved guest's state: see records.h. Runs in the vCPU process. */
#include <string.h>

#include "common/fmt.h"
#include "vcpu/devices/records.h"

bool record_fail(struct records *r, const char *fmt, ...)
{
	va_list ap;

	if (r->error[0])
		return false;
	va_start(ap, fmt);
	fmt_vline(r->error, sizeof(r->error), fmt, ap);
	va_end(ap);
	return false;
}

/* Bytes of a record with an object of @len bytes. */
static size_t record_bytes(size_t len)
{
	return sizeof(struct record_header) + ((len + 7) & ~(size_t)7);
}

static bool put(struct records *r, const struct record_header *h, const void *p)
{
	size_t all = record_bytes(h->len);

	if (all > r->size - r->at)
		return record_fail(r, "the guest's state needs more than %zu bytes", r->size);
	memset(r->buf + r->at, 0, all);
	memcpy(r->buf + r->at, h, sizeof(*h));
	memcpy(r->buf + r->at + sizeof(*h), p, h->len);
	r->at += all;
	return true;
}

static bool take(struct records *r, const struct record_header *want, void *p)
{
	size_t all = record_bytes(want->len);
	struct record_header h;

	if (r->size - r->at < sizeof(h))
		return record_fail(r, "its records end at byte %zu", r->at);
	memcpy(&h, r->buf + r->at, sizeof(h));
	if (h.kind != want->kind || h.index != want->index || h.len != want->len)
		return record_fail(r, "record %u.%u of %u bytes is in the place of record %u.%u of %u bytes", h.kind,
				   h.index, h.len, want->kind, want->index, want->len);
	if (all > r->size - r->at)
		return record_fail(r, "its records end at byte %zu", r->size);
	memcpy(p, r->buf + r->at + sizeof(h), h.len);
	r->at += all;
	return true;
}

bool record(struct records *r, enum record_kind kind, unsigned index, void *p, size_t len)
{
	const struct record_header h = { .kind = (uint16_t)kind, .index = (uint16_t)index, .len = (uint32_t)len };

	if (r->error[0])
		return false;
	return r->reading ? take(r, &h, p) : put(r, &h, p);
}

bool records_end(struct records *r)
{
	return r->at == r->size || record_fail(r, "it has records that are not known");
}

bool record_bool(struct records *r, uint8_t v, const char *what)
{
	return v <= 1 || record_fail(r, "%s is %u, not 0 or 1", what, v);
}
