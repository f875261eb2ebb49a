/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The formatter for all log messages: a small printf without stdio, locale, allocation
 * or floating point. Linked into every process. It never writes past the end of the
 * buffer and makes no system call.
 */
#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "common/fmt.h"

struct out {
	char *buf;
	size_t size, len;
};

struct spec {
	bool zero, left;
	size_t width;
	size_t precision; /* SIZE_MAX: none */
	char len;	  /* 'i' int, 'l' long, 'L' long long, 'z' size_t */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len++] = c;
}

static void put_n(struct out *o, char c, size_t n)
{
	/* At most the size of the buffer, so that a huge width costs no time. */
	for (n = MIN(n, o->size); n; n--)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
	size_t n;

	if (!text)
		text = "(null)";
	n = strnlen(text, s->precision);
	if (!s->left && s->width > n)
		put_n(o, ' ', s->width - n);
	for (size_t i = 0; i < n; i++)
		put(o, text[i]);
	if (s->left && s->width > n)
		put_n(o, ' ', s->width - n);
}

static void put_number(struct out *o, const struct spec *s, uint64_t v, unsigned base, const char *prefix)
{
	char digits[24];
	size_t n = 0, total;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	total = n + strlen(prefix);
	if (!s->left && !s->zero && s->width > total)
		put_n(o, ' ', s->width - total);
	for (const char *p = prefix; *p; p++)
		put(o, *p);
	if (s->zero && !s->left && s->width > total)
		put_n(o, '0', s->width - total);
	while (n)
		put(o, digits[--n]);
	if (s->left && s->width > total)
		put_n(o, ' ', s->width - total);
}

static size_t parse_count(const char **fmt)
{
	size_t n = 0;

	for (; **fmt >= '0' && **fmt <= '9'; (*fmt)++)
		if (n < 10000)
			n = n * 10 + (size_t)(**fmt - '0');
	return n;
}

/* Parse the part between '%' and the conversion character; '*' takes its value from @ap. */
static void parse_spec(const char **fmt, struct spec *s, va_list *ap)
{
	int star;

	*s = (struct spec){ .precision = SIZE_MAX, .len = 'i' };
	for (; **fmt == '0' || **fmt == '-'; (*fmt)++) {
		s->zero |= **fmt == '0';
		s->left |= **fmt == '-';
	}
	s->width = parse_count(fmt);
	if (**fmt == '.') {
		(*fmt)++;
		if (**fmt == '*') {
			(*fmt)++;
			star = va_arg(*ap, int);
			s->precision = star < 0 ? SIZE_MAX : (size_t)star;
		} else {
			s->precision = parse_count(fmt);
		}
	}
	if (**fmt == 'z') {
		s->len = 'z';
		(*fmt)++;
	}
	for (; **fmt == 'l'; (*fmt)++)
		s->len = s->len == 'l' ? 'L' : 'l';
}

static uint64_t get_unsigned(const struct spec *s, va_list *ap)
{
	switch (s->len) {
	case 'l':
		return va_arg(*ap, unsigned long);
	case 'L':
		return va_arg(*ap, unsigned long long);
	case 'z':
		return va_arg(*ap, size_t);
	default:
		return va_arg(*ap, unsigned int);
	}
}

static int64_t get_signed(const struct spec *s, va_list *ap)
{
	switch (s->len) {
	case 'l':
		return va_arg(*ap, long);
	case 'L':
		return va_arg(*ap, long long);
	case 'z':
		return va_arg(*ap, ssize_t);
	default:
		return va_arg(*ap, int);
	}
}

static void put_conversion(struct out *o, const struct spec *s, char conv, va_list *ap, int err)
{
	int64_t d;

	switch (conv) {
	case 's':
		put_text(o, s, va_arg(*ap, const char *));
		break;
	case 'c':
		put(o, (char)va_arg(*ap, int));
		break;
	case 'd':
	case 'i':
		d = get_signed(s, ap);
		put_number(o, s, d < 0 ? 0 - (uint64_t)d : (uint64_t)d, 10, d < 0 ? "-" : "");
		break;
	case 'u':
		put_number(o, s, get_unsigned(s, ap), 10, "");
		break;
	case 'x':
		put_number(o, s, get_unsigned(s, ap), 16, "");
		break;
	case 'p':
		put_number(o, s, (uintptr_t)va_arg(*ap, void *), 16, "0x");
		break;
	case 'm':
		put_text(o, s, strerrordesc_np(err) ? strerrordesc_np(err) : "unknown error");
		break;
	default:
		/* Unknown conversion: print it as it is. -Wformat reports it at compile time. */
		put(o, '%');
		put(o, conv);
	}
}

size_t fmt_vline(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size, 0 };
	int err = errno;
	struct spec s;
	va_list args;

	if (!size)
		return 0;
	va_copy(args, ap);
	while (*fmt) {
		if (*fmt != '%') {
			put(&o, *fmt++);
			continue;
		}
		fmt++;
		if (*fmt == '%') {
			put(&o, *fmt++);
			continue;
		}
		parse_spec(&fmt, &s, &args);
		if (!*fmt)
			break;
		put_conversion(&o, &s, *fmt++, &args, err);
	}
	va_end(args);
	buf[o.len] = '\0';
	return o.len;
}

size_t fmt_line(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = fmt_vline(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

void make_printable(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			s[i] = '?';
}

void make_printable_utf8(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
}
