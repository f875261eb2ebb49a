/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of --save and --from: the state of a guest at a checkpoint. Little-endian, for x86-64 only.
 *
 *   offset 0       struct save_header, one page
 *   SAVE_STATE_AT  records (vcpu/devices/records.h), header.state_len bytes, then zeros up to a whole page
 *   then           one bit for each page of guest memory, bit 0 first, then zeros up to a whole page: 1 if the
 *                  page is in the file; all others hold only zeros
 *   then           these pages, in the order of the bits
 *   then           for each disk that is a snapshot and each share, in their order and at the next whole page, what
 *                  the guest has changed (blkd/saved.h), or knows and has open (fsd/saved.h). Its blkd or fsd reads
 *                  and writes it, not this process.
 *
 * The header is written last. A file whose writing was cut short has no magic number.
 */
#ifndef VCPU_KVM_SAVE_FORMAT_H
#define VCPU_KVM_SAVE_FORMAT_H

#include <string.h>
#include <zlib.h>

#include "common/role_config.h"

#define SAVE_MAGIC	 "LGSEPSAV" /* 8 bytes, without NUL */
#define SAVE_VERSION	 4u
#define SAVE_PAGE	 4096u
#define SAVE_STATE_AT	 SAVE_PAGE
#define SAVE_CHUNK_PAGES (8 * SAVE_PAGE) /* For which one page of bits stands */
#define SAVE_STATE_MAX	 (1u << 20)	 /* Most bytes of records; 32 processors with 512 MSRs need half of it */

struct save_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t header_crc; /* Of this page, with 0 in this place */
	uint64_t mem_bytes;  /* Guest memory */
	uint64_t pages;	     /* Pages of it that are in the file */
	uint32_t state_len;  /* Bytes of records */
	/* Checksums find accidents; an attacker can make any file fit. */
	uint32_t state_crc, bits_crc; /* CRC-32 as zlib computes it */
	uint32_t none;
	uint64_t pages_sum; /* save_pages_sum() of all pages of the file */
	uint8_t zero[SAVE_PAGE - 56];
};
_Static_assert(sizeof(struct save_header) == SAVE_PAGE, "one page, without holes");

/* The sum of bytes whose sum so far is @crc, and of the @len bytes at @p behind them. */
static inline uint32_t save_sum(uint32_t crc, const void *p, uint64_t len)
{
	return (uint32_t)crc32_z(crc, p, (size_t)len);
}

static inline uint64_t save_mix(uint64_t sum, uint64_t word)
{
	sum ^= word;
	return (sum << 29 | sum >> 35) * 0x9e3779b185ebca87u;
}

/*
 * The sum of pages whose sum so far is @sum, and of the @n pages at @p behind them. Faster than a CRC, above all on an
 * emulated processor. Any change within 8 bytes changes it, because each step can be undone.
 */
static inline uint64_t save_pages_sum(uint64_t sum, const uint8_t *p, uint64_t n)
{
	uint64_t word[4];

	for (; n; n--) {
		/* Four chains, which the processor computes at once */
		uint64_t a = sum, b = sum + 1, c = sum + 2, d = sum + 3;

		for (unsigned at = 0; at < SAVE_PAGE; at += sizeof(word), p += sizeof(word)) {
			memcpy(word, p, sizeof(word));
			a = save_mix(a, word[0]);
			b = save_mix(b, word[1]);
			c = save_mix(c, word[2]);
			d = save_mix(d, word[3]);
		}
		sum = save_mix(save_mix(save_mix(save_mix(sum, a), b), c), d);
	}
	return sum;
}

static inline uint64_t save_whole_pages(uint64_t bytes)
{
	return (bytes + SAVE_PAGE - 1) & ~(uint64_t)(SAVE_PAGE - 1);
}

/* Where the bits begin, and how many bytes of the file they take. */
static inline uint64_t save_bits_at(uint32_t state_len)
{
	return SAVE_STATE_AT + save_whole_pages(state_len);
}
static inline uint64_t save_bits_bytes(uint64_t mem_bytes)
{
	return save_whole_pages((mem_bytes / SAVE_PAGE + 7) / 8);
}

_Static_assert(SAVE_FILE_MAX(0) >= SAVE_PAGE + SAVE_STATE_MAX + SAVE_PAGE, "RLIMIT_FSIZE allows every file");

#endif
