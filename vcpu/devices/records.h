/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of a saved guest's state (--save, --from): a header, then the bytes of an object of fixed size without
 * pointers. One function for each part of the machine names its records in order; it serves for writing and for
 * reading, so that both agree. Runs in the vCPU process, without allocating.
 */
#ifndef VCPU_RECORDS_H
#define VCPU_RECORDS_H

#include "common/util.h"

/* Kinds of records. Never change a number or the layout of an object: make a new kind, and raise SAVE_VERSION. */
enum record_kind {
	RECORD_MACHINE = 1,
	RECORD_CPUID,
	RECORD_REGS,
	RECORD_SREGS,
	RECORD_XSAVE,
	RECORD_XCRS,
	RECORD_DEBUGREGS,
	RECORD_LAPIC,
	RECORD_EVENTS,
	RECORD_MP_STATE,
	RECORD_TSC,
	RECORD_MSR_LIST,
	RECORD_MSRS,
	RECORD_DEADLINE,
	RECORD_IRQCHIP,
	RECORD_PIT,
	RECORD_CLOCK,
	RECORD_PORTS,
	RECORD_PCI,
	RECORD_DEVICE,
	RECORD_QUEUE,
	RECORD_CONSOLE,
	RECORD_HELPER,
	RECORD_FRONT,
	RECORD_PORT,
	RECORD_SHARE,
	RECORD_KINDS
};

/* Before each object in the file. */
struct record_header {
	uint16_t kind;	/* enum record_kind */
	uint16_t index; /* Number of the processor, controller or device */
	uint32_t len;	/* Bytes of the object; the next header follows at a multiple of 8 */
};

struct records {
	uint8_t *buf;
	size_t size; /* Writing: bytes of room. Reading: bytes that were read. */
	size_t at;
	bool reading;
	char error[160]; /* Empty: none. After an error record() does nothing. */
};

/*
 * Write the @len bytes at @p as the next record, or read them from it. When reading, the next record must have this
 * kind, number and length. Returns false and sets r->error if that is not so, or if there is no room.
 */
bool record(struct records *r, enum record_kind kind, unsigned index, void *p, size_t len);
/* Set the error, unless there is one. Always returns false. */
bool record_fail(struct records *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Returns false and sets the error if records are left that nothing has read. */
bool records_end(struct records *r);
/* Returns false and sets the error if @v is not 0 or 1. @what: its name in the message. */
bool record_bool(struct records *r, uint8_t v, const char *what);

#endif
