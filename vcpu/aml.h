/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A writer of the little AML (ACPI 6.4, chapter 20) that the DSDT needs. Bytes
 * go to a bounded buffer; what does not fit sets @full and is lost. vCPU process.
 */
#ifndef VCPU_AML_H
#define VCPU_AML_H

#include "common/util.h"

struct aml {
	uint8_t *buf;
	size_t size, len;
	bool full;
};

void aml_bytes(struct aml *a, const void *p, size_t n);
void aml_byte(struct aml *a, uint8_t v);
void aml_name(struct aml *a, const char *seg); /* four characters, or with a leading backslash */
void aml_int(struct aml *a, uint32_t v);
/* A scope whose package length is known only at its end: open returns what close wants. */
size_t aml_open(struct aml *a);
void aml_close(struct aml *a, size_t at);
size_t aml_device(struct aml *a, const char *seg); /* open */
size_t aml_scope(struct aml *a, const char *seg);  /* open */
void aml_def_int(struct aml *a, const char *seg, uint32_t v);
void aml_def_string(struct aml *a, const char *seg, const char *s);
/* EISAID("PNP0A03") as _HID or _CID. */
void aml_def_eisaid(struct aml *a, const char *seg, const char *id);

/* Resources: Name (_CRS, Buffer); aml_crs_open() to aml_crs_close(). */
struct aml_crs {
	uint8_t data[256];
	struct aml a;
};
void aml_crs_open(struct aml_crs *r);
void aml_crs_io(struct aml_crs *r, uint16_t base, uint8_t len);
void aml_crs_irq(struct aml_crs *r, unsigned irq);
void aml_crs_bus(struct aml_crs *r, uint16_t first, uint16_t last);
void aml_crs_io_window(struct aml_crs *r, uint16_t first, uint16_t last);
void aml_crs_mem_window(struct aml_crs *r, uint32_t first, uint32_t last);
void aml_crs_close(struct aml_crs *r, struct aml *to);

#endif
