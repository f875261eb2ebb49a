/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch of nftables changes (libnftnl, libmnl). The caller appends tables, chains and
 * rules, then sends all of them at once; the kernel applies either the whole batch or
 * nothing. Does not read the host's own rules. Runs in the parent, inside the privileged
 * window.
 */
#ifndef PARENT_SETUP_NFT_H
#define PARENT_SETUP_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most messages and bytes of one batch: enough for MAX_DEVICES NICs with all settings. */
#define NFT_MESSAGES_MAX 4096
#define NFT_BYTES_MAX	 (1 << 20)

struct nftnl_rule;
struct nlmsghdr;

struct nft_batch {
	char *buf;			    /* NFT_BYTES_MAX bytes, from malloc(). */
	size_t used;			    /* Bytes used in @buf. */
	struct nlmsghdr *last;		    /* The last message in @buf. */
	uint32_t messages;		    /* Number of messages; also the sequence number of the last one. */
	const char *what[NFT_MESSAGES_MAX]; /* Names of the messages for errors, by sequence number; static. */
	const char *table;		    /* Name of the table in all families; owned by the caller. */
	struct nftnl_rule *rule;	    /* The rule being built; NULL: none. */
	bool failed;			    /* Out of memory or buffer; nft_send() reports it. */
};

/* The hook of a base chain: its number (NF_INET_*, NF_BR_*) and priority. */
struct nft_hook {
	const char *type; /* "filter", "nat" */
	uint32_t number;
	int32_t priority;
	const char *device; /* Interface of an ingress hook; otherwise NULL. */
};

/* Start a batch. @table is kept, not copied. Returns 0, or -1 if there is no memory. Call nft_free() in both cases. */
int nft_begin(struct nft_batch *b, const char *table);
void nft_free(struct nft_batch *b);

/* Append a table. @family: NFPROTO_INET, _BRIDGE or _NETDEV. It exists as long as the socket that sends the batch. */
void nft_table(struct nft_batch *b, int family);
/* Append a chain. @hook NULL: a chain that rules jump to. */
void nft_chain(struct nft_batch *b, int family, const char *name, const struct nft_hook *hook);
/* Start a rule at the end of @chain. The calls below append its expressions in order; nft_rule_end() ends it. */
void nft_rule(struct nft_batch *b, int family, const char *chain);
void nft_rule_end(struct nft_batch *b);

/*
 * Load a value of the packet into register 1. @key: NFT_META_* or NFT_CT_*; @base: NFT_PAYLOAD_*, with @offset and @len
 * in bytes; @result: NFT_FIB_RESULT_*; @flags: NFTA_FIB_F_*.
 */
void nft_meta(struct nft_batch *b, uint32_t key);
void nft_payload(struct nft_batch *b, uint32_t base, uint32_t offset, uint32_t len);
void nft_fib(struct nft_batch *b, uint32_t result, uint32_t flags);
void nft_ct(struct nft_batch *b, uint32_t key);
/* The same for the original direction of the connection. */
void nft_ct_original(struct nft_batch *b, uint32_t key);
/* Register 1 &= @mask (@len bytes). */
void nft_mask(struct nft_batch *b, const void *mask, uint32_t len);
/* Continue with the rule only if register 1 is equal to @data (@equal), or is not. */
void nft_compare(struct nft_batch *b, bool equal, const void *data, uint32_t len);
void nft_compare_u8(struct nft_batch *b, uint8_t value);
void nft_compare_u32(struct nft_batch *b, bool equal, uint32_t value);

/* Append an action. @verdict: NF_ACCEPT, NF_DROP, or NFT_JUMP to @chain. */
void nft_verdict(struct nft_batch *b, int verdict, const char *chain);
void nft_set_mark(struct nft_batch *b, uint32_t mark);
void nft_do(struct nft_batch *b, const char *expression); /* "notrack", "masq" */

/*
 * Returns a netlink socket for nft_send(), close-on-exec, or -1 with errno set. The tables
 * sent with it exist until its last descriptor is closed.
 */
int nft_socket(void);
/* Send the batch; the kernel has applied or refused it when this returns. Returns 0, or -1 with errno set. */
int nft_send(struct nft_batch *b, int fd);
/*
 * Read the kernel's answer to the batch. Returns 0, or -1 with errno set and the refused
 * part of the batch in *@what.
 */
int nft_answer(const struct nft_batch *b, int fd, const char **what);

#endif
