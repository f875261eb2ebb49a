/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing AML: see aml.h. Runs in the vCPU process before the guest does; no
 * input is the guest's.
 */
#include <string.h>

#include "vcpu/aml.h"

enum {
	NAME_OP = 0x08,
	BYTE_PREFIX = 0x0a,
	WORD_PREFIX = 0x0b,
	DWORD_PREFIX = 0x0c,
	STRING_PREFIX = 0x0d,
	SCOPE_OP = 0x10,
	BUFFER_OP = 0x11,
	EXT_PREFIX = 0x5b,
	DEVICE_EXT_OP = 0x82,
};

void aml_bytes(struct aml *a, const void *p, size_t n)
{
	if (n > a->size - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, p, n);
	a->len += n;
}

void aml_byte(struct aml *a, uint8_t v)
{
	aml_bytes(a, &v, 1);
}

static void le(struct aml *a, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		aml_byte(a, (uint8_t)(v >> (8 * i)));
}

void aml_name(struct aml *a, const char *seg)
{
	size_t n = strnlen(seg, 5);

	aml_bytes(a, seg, n);
	/* 20.2.2: segments shorter than four are filled with underscores */
	for (n -= seg[0] == '\\'; n < 4; n++)
		aml_byte(a, '_');
}

void aml_int(struct aml *a, uint32_t v)
{
	if (v <= 1) {
		aml_byte(a, (uint8_t)v); /* ZeroOp, OneOp */
	} else if (v <= 0xff) {
		aml_byte(a, BYTE_PREFIX);
		le(a, v, 1);
	} else if (v <= 0xffff) {
		aml_byte(a, WORD_PREFIX);
		le(a, v, 2);
	} else {
		aml_byte(a, DWORD_PREFIX);
		le(a, v, 4);
	}
}

static void aml_string(struct aml *a, const char *s)
{
	aml_byte(a, STRING_PREFIX);
	aml_bytes(a, s, strlen(s) + 1);
}

/* 20.2.4: always the three-byte form, filled in by aml_close(). */
size_t aml_open(struct aml *a)
{
	size_t at = a->len;

	aml_bytes(a, "\0\0", 3);
	return at;
}

void aml_close(struct aml *a, size_t at)
{
	size_t n = a->len - at;

	if (a->full)
		return;
	a->buf[at] = (uint8_t)(0x80 | (n & 0xf));
	a->buf[at + 1] = (uint8_t)(n >> 4);
	a->buf[at + 2] = (uint8_t)(n >> 12);
}

size_t aml_device(struct aml *a, const char *seg)
{
	size_t at;

	aml_byte(a, EXT_PREFIX);
	aml_byte(a, DEVICE_EXT_OP);
	at = aml_open(a);
	aml_name(a, seg);
	return at;
}

size_t aml_scope(struct aml *a, const char *seg)
{
	size_t at;

	aml_byte(a, SCOPE_OP);
	at = aml_open(a);
	aml_name(a, seg);
	return at;
}

void aml_def_int(struct aml *a, const char *seg, uint32_t v)
{
	aml_byte(a, NAME_OP);
	aml_name(a, seg);
	aml_int(a, v);
}

void aml_def_string(struct aml *a, const char *seg, const char *s)
{
	aml_byte(a, NAME_OP);
	aml_name(a, seg);
	aml_string(a, s);
}

static unsigned hex(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

void aml_def_eisaid(struct aml *a, const char *seg, const char *id)
{
	uint32_t v = (uint32_t)(id[0] & 0x1f) << 26 | (uint32_t)(id[1] & 0x1f) << 21 | (uint32_t)(id[2] & 0x1f) << 16 |
		     hex(id[3]) << 12 | hex(id[4]) << 8 | hex(id[5]) << 4 | hex(id[6]);

	aml_byte(a, NAME_OP);
	aml_name(a, seg);
	aml_byte(a, DWORD_PREFIX);
	v = htobe32(v);
	aml_bytes(a, &v, 4);
}

void aml_crs_open(struct aml_crs *r)
{
	r->a = (struct aml){ .buf = r->data, .size = sizeof(r->data) };
}

/* 6.4.2.5: I/O port descriptor, 16-bit decode. */
void aml_crs_io(struct aml_crs *r, uint16_t base, uint8_t len)
{
	le(&r->a, 0x0147, 2);
	le(&r->a, base, 2);
	le(&r->a, base, 2);
	le(&r->a, 0, 1);
	le(&r->a, len, 1);
}

/* 6.4.2.1: edge-triggered, active high. */
void aml_crs_irq(struct aml_crs *r, unsigned irq)
{
	le(&r->a, 0x22, 1);
	le(&r->a, 1u << irq, 2);
}

/* 6.4.3.5: address space descriptors; both ends fixed, as the bridge produces them. */
void aml_crs_bus(struct aml_crs *r, uint16_t first, uint16_t last)
{
	const uint16_t w[] = { 0, first, last, 0, (uint16_t)(last - first + 1) };

	le(&r->a, 0x88 | 13 << 8, 3);
	le(&r->a, 2 | 0x0c << 8, 3); /* bus numbers */
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		le(&r->a, w[i], 2);
}

void aml_crs_io_window(struct aml_crs *r, uint16_t first, uint16_t last)
{
	const uint16_t w[] = { 0, first, last, 0, (uint16_t)(last - first + 1) };

	le(&r->a, 0x88 | 13 << 8, 3);
	le(&r->a, 1 | 0x0c << 8 | 3 << 16, 3); /* I/O, the entire range */
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		le(&r->a, w[i], 2);
}

void aml_crs_mem_window(struct aml_crs *r, uint32_t first, uint32_t last)
{
	const uint32_t w[] = { 0, first, last, 0, last - first + 1 };

	le(&r->a, 0x87 | 23 << 8, 3);
	le(&r->a, 0 | 0x0c << 8 | 1 << 16, 3); /* memory, not cached, writable */
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		le(&r->a, w[i], 4);
}

void aml_crs_close(struct aml_crs *r, struct aml *to)
{
	size_t at;

	le(&r->a, 0x0079, 2); /* end tag, checksum not used */
	to->full |= r->a.full;
	aml_byte(to, NAME_OP);
	aml_name(to, "_CRS");
	aml_byte(to, BUFFER_OP);
	at = aml_open(to);
	aml_int(to, (uint32_t)r->a.len);
	aml_bytes(to, r->data, r->a.len);
	aml_close(to, at);
}
