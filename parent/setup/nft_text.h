/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The chains and rules of one nftables table as text, from a batch or from the kernel. Two
 * tables with the same effect have the same text.
 */
#ifndef PARENT_SETUP_NFT_TEXT_H
#define PARENT_SETUP_NFT_TEXT_H

#include "parent/setup/nft.h"

struct nft_text {
	struct nft_text_line {
		char chain[64];
		char *text; /* of a chain: its hook; of a rule: its expressions. From malloc(). */
	} * line;	    /* by chain, in each the chain itself and then its rules in order */
	unsigned n;
	bool failed; /* out of memory */
};

/* All return 0, or -1 with errno set. nft_text_free() in any case. */
int nft_text_of_batch(const struct nft_batch *b, int family, struct nft_text *t);
int nft_text_of_table(int family, const char *table, struct nft_text *t);
void nft_text_free(struct nft_text *t);

/*
 * Compare @promised with @is, and write the first difference to @text, such as "chain net0: rule 3
 * is another one". Returns true if there is none.
 */
bool nft_text_same(const struct nft_text *promised, const struct nft_text *is, char *text, size_t size);

#endif
