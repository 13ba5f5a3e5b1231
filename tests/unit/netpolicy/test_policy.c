#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "netpolicy.h"
#include "policy.h"
#include "rules.h"
#include "str.h"

static struct policy_texts texts_with(const char *setting, const char *text)
{
        struct policy_texts texts = { "default", "10.213.0.0/16", "", "", "" };

        if (str_equal(setting, "pool"))
                texts.pool = text;
        else if (str_equal(setting, "network_cidr"))
                texts.network_cidr = text;
        else if (str_equal(setting, "deny"))
                texts.deny = text;
        else if (str_equal(setting, "allow"))
                texts.allow = text;
        else
                texts.dns = text;
        return texts;
}

static const struct {
        const char *setting, *text;
        unsigned denied, pinholes;
} GOOD[] = {
        { "pool", "a", 0, 0 },
        { "pool", "Pool-1_x.y", 0, 0 },
        { "network_cidr", "11.0.0.0/8", 0, 0 },
        { "network_cidr", "100.64.0.0/28", 0, 0 },
        { "deny", "", 0, 0 },
        { "deny", "  ", 0, 0 },
        { "deny", NULL, 0, 0 },
        { "deny", "1.2.3.4", 1, 0 },
        { "deny", "0.0.0.0/0", 1, 0 },
        { "deny", " 1.2.3.4 ,5.6.7.0/24,  9.0.0.0/8 ", 3, 0 },
        { "allow", "10.0.0.53", 0, 1 },
        { "allow", "10.0.0.53:53, 10.1.0.0/16:5432,192.168.0.0/24", 0, 3 },
        { "allow", "10.0.0.53:65535", 0, 1 },
        { "dns", "1.1.1.1,10.0.0.53", 0, 2 },
};

static const struct {
        const char *setting, *text, *sentence; /* a part of it */
} BAD[] = {
        { "pool", "", "1 to 63" },
        { "pool", NULL, "1 to 63" },
        { "pool", "a b", "letters" },
        { "pool", "a/b", "letters" },
        { "pool", "0123456789012345678901234567890123456789012345678901234567890123", "1 to 63" },
        { "network_cidr", "", "empty" },
        { "network_cidr", NULL, "empty" },
        { "network_cidr", "11.0.0.0/7", "bits set after" },
        { "network_cidr", "12.0.0.0/6", "a /8 to a /28" },
        { "network_cidr", "10.0.0.0/29", "a /8 to a /28" },
        { "network_cidr", "10.0.0.0", "a /8 to a /28" },
        { "network_cidr", "127.0.0.0/16", "it must not be in" },
        { "network_cidr", "0.0.0.0/8", "it must not be in" },
        { "network_cidr", "224.0.0.0/8", "it must not be in" },
        { "network_cidr", "240.0.0.0/16", "it must not be in" },
        { "deny", "fd00::/8", "no IPv6" },
        { "deny", "::1", "no IPv6" },
        { "deny", "1.2.3.4:80", "only allow takes a port" },
        { "deny", "10.0.0.1/8", "bits set after" },
        { "deny", "10.0.0.0/33", "0 to 32" },
        { "deny", "10.0.0.0/", "0 to 32" },
        { "deny", "10.0.0.0/-1", "0 to 32" },
        { "deny", "10.0.0.0/8/8", "0 to 32" },
        { "deny", "10.0.0.0/ 8", "0 to 32" },
        { "deny", "10.0.0", "not an IPv4 address" },
        { "deny", "010.0.0.1", "not an IPv4 address" },
        { "deny", "256.0.0.1", "not an IPv4 address" },
        { "deny", "example.com", "not an IPv4 address" },
        { "deny", "1.2.3.4 5.6.7.8", "not an IPv4 address" },
        { "deny", "/8", "not an IPv4 address" },
        { "deny", ",", "empty" },
        { "deny", "1.2.3.4,", "empty" },
        { "deny", ",1.2.3.4", "empty" },
        { "deny", "1.2.3.4,,5.6.7.8", "empty" },
        { "deny", "\x1b[31m", "\"?[31m\"" },
        { "deny", "1.2.3.4\n", "not an IPv4 address" },
        { "deny", "00000000000000000000000000000000000000000000000000000000000000000000", "too long" },
        { "allow", "10.0.0.53:0", "1 to 65535" },
        { "allow", "10.0.0.53:65536", "1 to 65535" },
        { "allow", "10.0.0.53:", "1 to 65535" },
        { "allow", "10.0.0.53:-1", "1 to 65535" },
        { "allow", "10.0.0.53:53x", "1 to 65535" },
        { "allow", "::1", "no IPv6" },
        { "allow", "[::1]:53", "no IPv6" },
        { "allow", "0.0.0.0/0", "wider than a /8" },
        { "allow", "10.0.0.0/7", "wider than a /8" },
        { "allow", "10.213.7.7", "other carrels" },
        { "allow", "10.0.0.0/8", "other carrels" },
        { "allow", "127.0.0.53:53", "loopback" },
        { "dns", "127.0.0.53", "loopback" },
        { "dns", "10.213.7.7", "other carrels" },
        { "dns", "10.0.0.0/24", "one address" },
        { "dns", "10.0.0.53:53", "only allow takes a port" },
        { "dns", "resolver", "not an IPv4 address" },
};

static void good_texts_are_read(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
                struct policy_texts texts = texts_with(GOOD[i].setting, GOOD[i].text);
                struct policy policy;
                struct fault why = { 0 };

                if (policy_parse(&policy, &texts, &why) != 0)
                        fail_msg("%s=%s: %s", GOOD[i].setting, GOOD[i].text, why.message);
                assert_int_equal(policy.denied_count, GOOD[i].denied);
                assert_int_equal(policy.pinhole_count, GOOD[i].pinholes);
        }
}

static void bad_texts_are_explained(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
                struct policy_texts texts = texts_with(BAD[i].setting, BAD[i].text);
                struct policy policy = { .denied_count = 77 };
                struct fault why = { 0 };

                if (policy_parse(&policy, &texts, &why) != -EINVAL || strstr(why.message, BAD[i].sentence) == NULL)
                        fail_msg("%s=%s: %s", BAD[i].setting, BAD[i].text, why.message);
                assert_int_equal(why.kind, FAULT_SETTING_INVALID);
                assert_int_equal(policy.denied_count, 77); /* untouched */
        }
}

static char *repeat(const char *item, size_t count)
{
        char *text = calloc(count, strlen(item) + 2);

        for (size_t i = 0; text != NULL && i < count; i++)
                (void)sprintf(text + strlen(text), "%s%s", i > 0 ? "," : "", item);
        return text;
}

static void lists_are_bounded(void **state)
{
        static const struct {
                const char *setting;
                size_t most;
        } LISTS[] = { { "deny", POLICY_DENIED_MAX }, { "allow", POLICY_PINHOLES_MAX }, { "dns", POLICY_PINHOLES_MAX } };

        (void)state;
        for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++) {
                for (size_t more = 0; more < 2; more++) {
                        char *text = repeat("1.2.3.4", LISTS[i].most + more);
                        struct policy_texts texts = texts_with(LISTS[i].setting, text);
                        struct policy policy;

                        assert_int_equal(policy_parse(&policy, &texts, NULL), more == 0 ? 0 : -EINVAL);
                        free(text);
                }
        }
}

static void allow_and_dns_share_a_bound(void **state)
{
        char *allow = repeat("1.2.3.4", POLICY_PINHOLES_MAX);
        struct policy_texts texts = { "default", "10.213.0.0/16", "", allow, "1.1.1.1" };
        struct policy policy;

        (void)state;
        assert_int_equal(policy_parse(&policy, &texts, NULL), -EINVAL);
        free(allow);
}

/* Values that a damaged or hostile message could have. */
static void binary_policies_are_checked(void **state)
{
        struct policy_texts texts = { "default", "10.213.0.0/16", "9.9.9.9", "10.0.0.53:53", "" };
        struct policy good;
        struct policy bad;

        (void)state;
        assert_int_equal(policy_parse(&good, &texts, NULL), 0);
        assert_int_equal(policy_validate(&good, NULL), 0);
#define WITH(change) (bad = good, (change), assert_int_equal(policy_validate(&bad, NULL), -EINVAL))
        WITH(memset(bad.pool, 'x', sizeof bad.pool));
        WITH(bad.pool[0] = '\0');
        WITH(bad.pool[0] = '%');
        WITH(bad.network.length = 33);
        WITH(bad.network.address++);
        WITH(bad.denied_count = POLICY_DENIED_MAX + 1);
        WITH(bad.denied_count = UINT32_MAX);
        WITH(bad.pinhole_count = POLICY_PINHOLES_MAX + 1);
        WITH(bad.denied[0].length = 200);
        WITH(bad.denied[0] = ((struct cidr){ 1, 8 }));
        WITH(bad.pinholes[0].to = ((struct cidr){ 0, 0 }));
        WITH(bad.pinholes[0].to = bad.network);
#undef WITH
}

static void names_of_pools_keep_apart(void **state)
{
        struct policy policy = { .pool = "default" };
        struct policy_names names, other;

        (void)state;
        policy_name(&policy, &names);
        assert_string_equal(names.interface_prefix, "carrel");
        assert_string_equal(names.chain, "CARREL");
        memcpy(policy.pool, "staging", sizeof "staging");
        policy_name(&policy, &other);
        assert_int_equal(strlen(other.interface_prefix), 9);
        assert_int_equal(strlen(other.chain), 12);
        assert_int_not_equal(strncmp(other.interface_prefix, "carrel", 6), 0);
        memcpy(policy.pool, "staging2", sizeof "staging2");
        policy_name(&policy, &names);
        assert_string_not_equal(names.interface_prefix, other.interface_prefix);
        assert_string_not_equal(names.chain, other.chain);
}

/* The judge of a small policy, line by line: the order is the policy. */
static void the_judge_is_in_order(void **state)
{
        static const char *const EXPECTED[] = {
                "! -s 10.213.0.0/16 -j DROP",
                "-m rpfilter --invert -j DROP",
                "-d 10.0.0.53/32 -p 6 --dport 53 -j RETURN",
                "-d 10.0.0.53/32 -p 17 --dport 53 -j RETURN",
                "-m addrtype --dst-type LOCAL,BROADCAST -j DROP",
                "-d 10.213.0.0/16 -j DROP",
                "-d 0.0.0.0/8 -j DROP",
                "-d 10.0.0.0/8 -j DROP",
                "-d 100.64.0.0/10 -j DROP",
                "-d 127.0.0.0/8 -j DROP",
                "-d 168.63.129.16/32 -j DROP",
                "-d 169.254.0.0/16 -j DROP",
                "-d 172.16.0.0/12 -j DROP",
                "-d 192.0.0.0/24 -j DROP",
                "-d 192.0.2.0/24 -j DROP",
                "-d 192.88.99.0/24 -j DROP",
                "-d 192.168.0.0/16 -j DROP",
                "-d 198.18.0.0/15 -j DROP",
                "-d 198.51.100.0/24 -j DROP",
                "-d 203.0.113.0/24 -j DROP",
                "-d 224.0.0.0/4 -j DROP",
                "-d 240.0.0.0/4 -j DROP",
                "-d 9.9.9.9/32 -j DROP",
                "-p 6 -j RETURN",
                "-p 17 -j RETURN",
                "-p 1 -j RETURN",
                "-j DROP",
        };
        struct policy_texts texts = { "default", "10.213.0.0/16", "9.9.9.9", "", "10.0.0.53" };
        static struct ruleset ruleset;
        struct policy policy;

        (void)state;
        assert_int_equal(policy_parse(&policy, &texts, NULL), 0);
        rules_make(&ruleset, &policy, 1000);
        assert_string_equal(ruleset.chains[0].name, "CARREL");
        assert_int_equal(ruleset.chains[0].count, sizeof EXPECTED / sizeof *EXPECTED);
        for (size_t i = 0; i < ruleset.chains[0].count; i++) {
                char text[RULE_TEXT_BYTES];

                rule_format(&ruleset.chains[0].rules[i], text);
                assert_string_equal(text, EXPECTED[i]);
        }
}

/* After a DNAT the judged address is no longer the real one: denied networks are dropped again before the ACCEPT. */
static void no_translation_leads_to_what_is_denied(void **state)
{
        static const char *const FORWARDED[] = {
                "-i carrel+ -p 6 -j ACCEPT",
                "-i carrel+ -p 17 -j ACCEPT",
                "-i carrel+ -p 1 -j ACCEPT",
                "-i carrel+ -j DROP",
                "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                "-j DROP",
        };
        struct policy_texts texts = { "default", "10.213.0.0/16", "9.9.9.9", "", "10.0.0.53" };
        static struct ruleset ruleset;
        const struct rule_chain *judge = &ruleset.chains[0];
        const struct rule_chain *forward = &ruleset.chains[2];
        struct policy policy;
        char text[RULE_TEXT_BYTES];
        size_t at = 0;

        (void)state;
        assert_int_equal(policy_parse(&policy, &texts, NULL), 0);
        rules_make(&ruleset, &policy, 1000);
        assert_string_equal(forward->name, "CARREL-FORWARD");
        rule_format(&forward->rules[0], text);
        assert_string_equal(text, "-i carrel+ -d 10.0.0.53/32 -p 6 --dport 53 (before any DNAT) -j ACCEPT");
        for (size_t i = 0; i < judge->count; i++) {
                const struct rule *denied = &judge->rules[i];

                if (denied->verdict != RULE_DROP || denied->destination.length == 0)
                        continue;
                while (at < forward->count && !cidr_is_equal(forward->rules[at].destination, denied->destination))
                        at++;
                assert_true(at < forward->count);
                assert_int_equal(forward->rules[at].verdict, RULE_DROP);
                assert_string_equal(forward->rules[at].in, "carrel+");
        }
        for (size_t i = 0; i < sizeof FORWARDED / sizeof *FORWARDED; i++) {
                rule_format(&forward->rules[at + 1 + i], text);
                assert_string_equal(text, FORWARDED[i]);
        }
        assert_int_equal(at + 1 + sizeof FORWARDED / sizeof *FORWARDED, forward->count);
}

static void flows_are_bounded_behind_connection_tracking(void **state)
{
        static const char *const EXPECTED[] = {
                "-m conntrack ! --ctstatus CONFIRMED -m hashlimit --hashlimit-above 50/sec --hashlimit-burst 1000 -j "
                "DROP",
                "-m conntrack ! --ctstatus CONFIRMED -m connlimit --connlimit-above 1000 -j DROP",
        };
        struct policy_texts texts = { "default", "10.213.0.0/16", "", "", "", 0, 50, 1000 };
        static struct ruleset ruleset;
        const struct rule_chain *bounds = &ruleset.chains[RULE_CHAINS - 1];
        struct policy policy;

        (void)state;
        assert_int_equal(policy_parse(&policy, &texts, NULL), 0);
        rules_make(&ruleset, &policy, 1000);
        assert_int_equal(ruleset.chain_count, RULE_CHAINS);
        assert_true(bounds->may_be_missing && bounds->is_judge);
        assert_string_equal(bounds->table, "mangle");
        assert_int_equal(bounds->count, 2);
        for (size_t i = 0; i < 2; i++) {
                char text[RULE_TEXT_BYTES];

                rule_format(&bounds->rules[i], text);
                assert_string_equal(text, EXPECTED[i]);
        }
        rules_make(&ruleset, &policy, 0);
        assert_int_equal(ruleset.chain_count, RULE_CHAINS - 1);
        for (size_t i = 0; i < ruleset.chain_count; i++)
                assert_false(ruleset.chains[i].may_be_missing);
}

static void a_share_holds_the_table(void **state)
{
        static const struct {
                uint32_t asked, table_size, carrels, share;
        } CASES[] = {
                { 0, 262144, 1000, POLICY_SHARE_LEAST },
                { 0, 262144, 100, 1966 },
                { 0, 262144, 1, POLICY_SHARE_MOST },
                { 0, 0, 1000, POLICY_SHARE_LEAST },
                { 0, 1048576, 1000, 786 },
                { 0, UINT32_MAX, 0, POLICY_SHARE_MOST },
                { 77, 262144, 1000, 77 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct policy policy = { .flows_max = CASES[i].asked, .carrels_max = CASES[i].carrels };

                assert_int_equal(policy_flows_max(&policy, CASES[i].table_size), CASES[i].share);
        }
        assert_true((uint64_t)POLICY_SHARE_LEAST * 1000 < 262144); /* the defaults of carreld and of the kernel */
}

/* A changed policy cuts the flows that its judge drops. */
static void flows_are_judged_as_packets(void **state)
{
        static const struct {
                struct policy_flow flow;
                bool is_allowed;
        } CASES[] = {
                { { .destination = 0x08080808, .port = 443, .protocol = 6 }, true },
                { { .destination = 0x08080808, .protocol = 1 }, true },
                { { .destination = 0x08080808, .port = 443, .protocol = 132 }, false },
                { { .destination = 0x09090909, .port = 443, .protocol = 6 }, false },
                { { .destination = 0xa9fea9fe, .port = 80, .protocol = 6 }, false },
                { { .destination = 0x0ad50007, .port = 80, .protocol = 6 }, false },
                { { .destination = 0x0a000035, .port = 53, .protocol = 17 }, true },
                { { .destination = 0x0a000035, .port = 53, .protocol = 17, .is_to_host = true }, true },
                { { .destination = 0x0a000035, .port = 54, .protocol = 17 }, false },
                { { .destination = 0x0a000035, .protocol = 1 }, false },
                { { .destination = 0x08080808, .port = 443, .protocol = 6, .is_to_host = true }, false },
        };
        struct policy_texts texts = { "default", "10.213.0.0/16", "9.9.9.9", "", "10.0.0.53" };
        struct policy policy;

        (void)state;
        assert_int_equal(policy_parse(&policy, &texts, NULL), 0);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
                assert_int_equal(policy_allows(&policy, &CASES[i].flow), CASES[i].is_allowed);
}

static void the_largest_policy_has_room(void **state)
{
        char *deny = repeat("1.2.3.4", POLICY_DENIED_MAX);
        char *allow = repeat("5.6.7.8:9", POLICY_PINHOLES_MAX);
        struct policy_texts texts = { "other", "10.213.0.0/16", deny, allow, "" };
        static struct ruleset ruleset;
        struct policy policy;

        (void)state;
        assert_int_equal(policy_parse(&policy, &texts, NULL), 0);
        rules_make(&ruleset, &policy, 1000);
        assert_true(ruleset.count < RULE_ROOM);
        for (size_t i = 0; i < RULE_CHAINS; i++)
                assert_true(ruleset.chains[i].rules[ruleset.chains[i].count - 1].verdict != RULE_RETURN);
        free(deny);
        free(allow);
}

static void check_bounds_the_interval(void **state)
{
        static const double BAD_INTERVALS[] = { 0, -1, 0.01, 2, 1e9, __builtin_nan("") };
        struct netpolicy_options options = { "/x", "default", "10.213.0.0/16", "", "", "", 1.0 };

        (void)state;
        assert_int_equal(netpolicy_check(&options, NULL), 0);
        for (size_t i = 0; i < sizeof BAD_INTERVALS / sizeof *BAD_INTERVALS; i++) {
                options.check_interval_s = BAD_INTERVALS[i];
                assert_int_equal(netpolicy_check(&options, NULL), -EINVAL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(good_texts_are_read),
                cmocka_unit_test(bad_texts_are_explained),
                cmocka_unit_test(lists_are_bounded),
                cmocka_unit_test(allow_and_dns_share_a_bound),
                cmocka_unit_test(binary_policies_are_checked),
                cmocka_unit_test(names_of_pools_keep_apart),
                cmocka_unit_test(the_judge_is_in_order),
                cmocka_unit_test(the_largest_policy_has_room),
                cmocka_unit_test(check_bounds_the_interval),
                cmocka_unit_test(no_translation_leads_to_what_is_denied),
                cmocka_unit_test(flows_are_judged_as_packets),
                cmocka_unit_test(flows_are_bounded_behind_connection_tracking),
                cmocka_unit_test(a_share_holds_the_table),
        };

        return cmocka_run_group_tests_name("netpolicy: policy", tests, NULL, NULL);
}
