/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes the place of parent/setup/nft*.c in the static program, because Debian has no static libmnl. It behaves as on a
 * host without nftables: taps get the filter of parent/setup/guard.c, and one line reports that.
 */
#include <errno.h>

#include "common/util.h"
#include "parent/setup/nft.h"
#include "parent/setup/nft_dump.h"
#include "parent/setup/nft_text.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

/* As socket(2) without the kernel's part of netfilter. */
static int none(void)
{
	errno = EPROTONOSUPPORT;
	return -1;
}

int nft_begin(struct nft_batch *b, const char *table)
{
	return 0;
}

void nft_free(struct nft_batch *b)
{
}

void nft_table(struct nft_batch *b, int family)
{
}

void nft_chain(struct nft_batch *b, int family, const char *name, const struct nft_hook *hook)
{
}

void nft_rule(struct nft_batch *b, int family, const char *chain)
{
}

void nft_rule_end(struct nft_batch *b)
{
}

void nft_meta(struct nft_batch *b, uint32_t key)
{
}

void nft_payload(struct nft_batch *b, uint32_t base, uint32_t offset, uint32_t len)
{
}

void nft_fib(struct nft_batch *b, uint32_t result, uint32_t flags)
{
}

void nft_ct(struct nft_batch *b, uint32_t key)
{
}

void nft_ct_original(struct nft_batch *b, uint32_t key)
{
}

void nft_mask(struct nft_batch *b, const void *mask, uint32_t len)
{
}

void nft_compare(struct nft_batch *b, bool equal, const void *data, uint32_t len)
{
}

void nft_compare_u8(struct nft_batch *b, uint8_t value)
{
}

void nft_compare_u32(struct nft_batch *b, bool equal, uint32_t value)
{
}

void nft_verdict(struct nft_batch *b, int verdict, const char *chain)
{
}

void nft_set_mark(struct nft_batch *b, uint32_t mark)
{
}

void nft_do(struct nft_batch *b, const char *expression)
{
}

int nft_socket(void)
{
	return none();
}

int nft_send(struct nft_batch *b, int fd)
{
	return none();
}

int nft_answer(const struct nft_batch *b, int fd, const char **what)
{
	*what = "the batch";
	return none();
}

int nft_query_table(int family, const char *table, struct nft_table_info *info)
{
	return none();
}

int nft_query_drop_policy(uint32_t hook, char *name, size_t size)
{
	return none();
}

/* Some rules, so that the audit reports that the kernel does not show them. */
int nft_text_of_batch(const struct nft_batch *b, int family, struct nft_text *t)
{
	t->n = 1;
	return 0;
}

int nft_text_of_table(int family, const char *table, struct nft_text *t)
{
	return none();
}

void nft_text_free(struct nft_text *t)
{
}

bool nft_text_same(const struct nft_text *promised, const struct nft_text *is, char *text, size_t size)
{
	return false;
}
