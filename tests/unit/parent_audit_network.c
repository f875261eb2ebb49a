/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lguest-sep audit finds about the rules of a guest's taps, in the world of
 * parent_rules_world.h: this process stands for supervisor and netd.
 */
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/stat.h>

#include "parent/audit/maps.h"
#include "parent/audit/network.h"
#include "tests/unit/parent_rules_world.h"

static struct audit_process self;
static struct audit_guest guest;
static struct rules_nic taps[2];
static uint64_t held_by[3];

/* Both taps of the world, with their rules. */
static void guest_starts(void)
{
	struct stat st;

	with_rules();
	assert_int_equal(fstat(host.rules, &st), 0);
	held_by[0] = held_by[1] = st.st_ino;
	for (unsigned i = 0; i < 2; i++) {
		taps[i] = (struct rules_nic){ .o = &config.net[i],
					      .ifname = host.net[i].ifname,
					      .ifindex = if_nametoindex(host.net[i].ifname) };
		snprintf(taps[i].chain, sizeof(taps[i].chain), "net%u", i);
	}
	memset(&self, 0, sizeof(self));
	self.f.pid = getpid();
	facts_fds(&self.f);
}

/* The audit; how many of its rows are not as promised. */
static unsigned audit(void)
{
	unsigned weaker = 0;

	memset(&guest, 0, sizeof(guest));
	guest.process = &self;
	guest.pid = getpid();
	guest.n = 1;
	audit_rules(&guest, taps, 2, held_by);
	for (unsigned i = 0; i < guest.nchecks; i++)
		weaker += guest.check[i].verdict == WEAKER;
	return weaker;
}

/* One row says @text, and is a finding. */
static void finds(const char *text)
{
	char all[2048] = "nothing";
	size_t used = 0;

	if (audit() == 0)
		fail_msg("no finding; wanted: %s", text);
	for (unsigned i = 0; i < guest.nchecks; i++) {
		if (guest.check[i].verdict == WEAKER && strstr(guest.check[i].is, text))
			return;
		used += (size_t)snprintf(all + used, sizeof(all) - used, "; %s", guest.check[i].is);
	}
	fail_msg("not found: %s; but: %s", text, all);
}

static void guest_ends(void)
{
	facts_free(&self.f);
	without_rules();
}

/* Changes the guest's own table as only who holds its socket can: a supervisor that was taken, or root. */
static void change(void (*how)(struct nft_batch *b))
{
	static struct nft_batch b;
	const char *what;

	assert_int_equal(nft_begin(&b, table_name()), 0);
	how(&b);
	assert_int_equal(nft_send(&b, host.rules), 0);
	if (nft_answer(&b, host.rules, &what) < 0)
		fail_msg("the kernel does not take the change: %s", strerror(errno));
	nft_free(&b);
}

static void a_good_guest_is_as_promised(void **state)
{
	static const char *const settings[] = { "", "reach", "nat", "all", "forward", "v6" };
	struct net_option *o = &config.net[0], before = *o;

	(void)state;
	need_network();
	for (unsigned i = 0; i < ARRAY_SIZE(settings); i++) {
		*o = before;
		o->nreach = i == 1 ? 2 : 0;
		o->reach[0].protocol = IPPROTO_TCP;
		o->reach[0].port = 80;
		o->reach[1].protocol = IPPROTO_UDP;
		o->reach[1].port = 53;
		o->nat = i == 2 || i == 5;
		o->reach_all = i == 3;
		o->reach_forward = i == 4;
		o->v6 = i == 5;
		inet_pton(AF_INET6, "fd99::1", &o->ip6);
		guest_starts();
		if (audit() != 0 || guest.nchecks != 2)
			fail_msg("with %s: %u rows, the first: %s", settings[i], guest.nchecks, guest.check[0].is);
		guest_ends();
	}
	*o = before;
}

static void remove_table(struct nft_batch *b)
{
	struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(b->buf + b->used, NFT_MSG_DELTABLE, NFPROTO_INET, 0, ++b->messages);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, b->table);
	b->last = nlh;
	b->used += MNL_ALIGN(nlh->nlmsg_len);
}

static void a_removed_table_is_found(void **state)
{
	(void)state;
	need_network();
	guest_starts();
	change(remove_table);
	assert_true(probe_arrives(&(struct probe){ "", "10.99.0.1", 0, true }, PORT));
	finds("no table inet lguest-sep-guest0-");
	guest_ends();
}

static void accept_all(struct nft_batch *b)
{
	nft_rule(b, NFPROTO_INET, "net0");
	nft_verdict(b, NF_ACCEPT, NULL);
	nft_rule_end(b);
	b->last->nlmsg_flags &= (uint16_t)~NLM_F_APPEND; /* as the first of its chain */
}

static void an_added_accept_is_found(void **state)
{
	(void)state;
	need_network();
	guest_starts();
	change(accept_all);
	assert_true(probe_arrives(&(struct probe){ "", "10.99.0.1", 0, true }, PORT));
	finds("chain net0: rule 1 is another one");
	guest_ends();
}

static void accept_late(struct nft_batch *b)
{
	nft_rule(b, NFPROTO_NETDEV, "net0");
	nft_verdict(b, NF_ACCEPT, NULL);
	nft_rule_end(b);
}

static void another_chain(struct nft_batch *b)
{
	static const struct nft_hook hook = { "filter", NF_INET_LOCAL_OUT, 0, NULL };

	nft_chain(b, NFPROTO_INET, "odd", &hook);
}

static void what_is_added_elsewhere_is_found(void **state)
{
	(void)state;
	need_network();
	guest_starts();
	change(accept_late);
	finds("chain net0: rule 5 is not ours");
	guest_ends();
	guest_starts();
	change(another_chain);
	finds("chain odd is not ours");
	guest_ends();
}

static void a_changed_rule_is_found(void **state)
{
	struct net_option *o = &config.net[0];

	(void)state;
	need_network();
	o->nreach = 1;
	o->reach[0].protocol = IPPROTO_UDP;
	o->reach[0].port = PORT;
	guest_starts();
	o->reach[0].port = PORT + 1; /* what the options promise */
	finds("chain net0: rule 4 is another one");
	o->nreach = 0;
	finds("chain net0: rule 4 is another one");
	guest_ends();
}

/* nft(8): @command on the guest's inet table. */
static void nft(const char *command, const char *rest)
{
	char words[200];

	snprintf(words, sizeof(words), "nft %s table inet %s %s", command, table_name(), rest);
	run(words);
}

/* The supervisor has let go of the rules, or a netd has: they would go before the tap does. */
static void rules_of_others_are_found(void **state)
{
	(void)state;
	need_nft();
	guest_starts();
	held_by[1] = UINT64_MAX;
	finds("1 of the guest's processes do not hold it");
	held_by[1] = held_by[0];
	facts_free(&self.f);
	finds("1 of the guest's processes do not hold it");
	guest_ends();
	nft("add", "");
	finds("nobody: they stay when the guest has ended");
	/* An owner cannot put its table to sleep; whoever took its name can. */
	nft("add", "'{ flags dormant; }'");
	finds("is dormant");
	nft("delete", "");
}

static void check_filter(const char *text, enum verdict verdict)
{
	memset(&guest, 0, sizeof(guest));
	audit_guard(&guest, &taps[0]);
	assert_int_equal(guest.nchecks, 1);
	assert_string_equal(guest.check[0].is, text);
	assert_int_equal(guest.check[0].verdict, verdict);
}

static void the_filter_on_the_tap_is_compared(void **state)
{
	struct net_option *o = &config.net[0];

	(void)state;
	need_network();
	guest_starts();
	check_filter("guest0", AS_PROMISED);
	o->have_mac = false;
	check_filter("guest0", AS_PROMISED);
	o->have_mac = true;
	o->mac[0] ^= 4;
	check_filter("guest0: another one", WEAKER);
	o->mac[0] ^= 4;
	o->no_spoof_check = true;
	check_filter("guest0: another one", WEAKER);
	o->no_spoof_check = false;
	run("tc filter add dev guest0 ingress prio 1 handle 0x7 bpf da bytecode '1,6 0 0 0'");
	check_filter("guest0: another one", WEAKER);
	run("tc filter del dev guest0 ingress");
	check_filter("guest0: none", WEAKER);
	guest_ends();
}

/* The longest program that options can ask for fits into a request. */
static void a_filter_with_all_addresses_fits(void **state)
{
	struct net_option *o = &config.net[1];
	struct own_addresses *own = &o->own;

	(void)state;
	need_network();
	own->n4 = own->n6 = MAX_OWN_ADDRESSES;
	for (uint8_t i = 0; i < MAX_OWN_ADDRESSES; i++) {
		memset(own->ip4[i], 10 + i, sizeof(own->ip4[i]));
		memset(own->ip6[i], 10 + i, sizeof(own->ip6[i]));
	}
	host.net[1].config.own = *own;
	config.strict = true;
	assert_int_equal(net_guard(&config, 1, &host.net[1]), 0);
	config.strict = false;
	guest_starts();
	memset(&guest, 0, sizeof(guest));
	audit_guard(&guest, &taps[1]);
	assert_int_equal(guest.check[0].verdict, AS_PROMISED);
	guest_ends();
	memset(own, 0, sizeof(*own));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_guest_is_as_promised),	     cmocka_unit_test(a_removed_table_is_found),
		cmocka_unit_test(an_added_accept_is_found),	     cmocka_unit_test(what_is_added_elsewhere_is_found),
		cmocka_unit_test(a_changed_rule_is_found),	     cmocka_unit_test(rules_of_others_are_found),
		cmocka_unit_test(the_filter_on_the_tap_is_compared), cmocka_unit_test(a_filter_with_all_addresses_fits),
	};

	return cmocka_run_group_tests(tests, set_up, take_down);
}
