/* The pieces of x_tables entries, as the kernel and iptables(8) lay them out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "xt.h"

/* Names and how many bytes of the mask they set (xtables_parse_interface: an exact name's mask has its NUL). */
static const struct {
        const char *pattern;
        size_t masked;
} PATTERNS[] = { { "", 0 },
                 { "eth0", 5 },
                 { "carrel+", 6 },
                 { "car0a1b2.+", 9 },
                 { "abcdefghijklmno", 16 },
                 { "abcdefghijklmn+", 14 } };

static void interfaces_round_trip(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof PATTERNS / sizeof *PATTERNS; i++) {
                char name[16] = "", again[16];
                unsigned char mask[16] = { 0 };
                size_t masked = 0;

                xt_put_interface(PATTERNS[i].pattern, name, mask);
                while (masked < 16 && mask[masked] == 0xff)
                        masked++;
                assert_int_equal(masked, PATTERNS[i].masked);
                xt_get_interface(again, name, mask);
                assert_string_equal(again, PATTERNS[i].pattern);
        }
}

static void broken_interfaces_read_as_any(void **state)
{
        char name[16], again[16] = "?";
        unsigned char mask[16];

        (void)state;
        memset(name, 'x', sizeof name);
        memset(mask, 0xff, sizeof mask);
        xt_get_interface(again, name, mask);
        assert_string_equal(again, "");
}

static const struct rule RULES[] = {
        { .protocol = 6, .port = 53, .verdict = RULE_RETURN },
        { .protocol = 17, .port = 65535, .verdict = RULE_ACCEPT },
        { .flags = RULE_TO_HOST, .verdict = RULE_DROP },
        { .flags = RULE_IS_REPLY, .verdict = RULE_ACCEPT },
        { .flags = RULE_WRONG_PATH, .verdict = RULE_DROP },
        { .flags = RULE_TO_HOST | RULE_WRONG_PATH, .verdict = RULE_DROP },
        { .flags = RULE_IS_FIRST, .verdict = RULE_DROP },
        { .flags = RULE_IS_FIRST | RULE_TOO_FAST, .limit = 50, .burst = 256, .verdict = RULE_DROP },
        { .flags = RULE_IS_FIRST | RULE_TOO_FAST, .limit = 9999, .burst = 1000000, .verdict = RULE_DROP },
        { .flags = RULE_IS_FIRST | RULE_TOO_MANY, .limit = 256, .verdict = RULE_DROP },
        { .verdict = RULE_DROP },
};

static void matches_round_trip(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) {
                struct xt_entry entry = { 0 };
                struct rule again = { .protocol = RULES[i].protocol, .verdict = RULES[i].verdict };

                xt_add_matches(&entry, &RULES[i]);
                assert_int_equal(entry.length % 8, 0);
                xt_get_matches(&again, entry.bytes, entry.length);
                assert_true(rule_is_equal(&again, &RULES[i]));
                assert_true(xt_is_same_matches(entry.bytes, entry.bytes, entry.length));
        }
}

/* As a rule of somebody else can read: three conntrack matches, and one of each other kind. */
static void a_rule_with_every_match_has_room(void **state)
{
        struct rule rule = { .flags = UINT16_MAX, .limit = 1, .burst = 1, .verdict = RULE_MASQUERADE };
        struct xt_entry entry = { .length = XT_HEAD_BYTES };

        (void)state;
        xt_add_matches(&entry, &rule);
        xt_add_target(&entry, &rule);
        assert_in_range(entry.length, 1024, sizeof entry.bytes);
}

/* One byte of data changed, or bytes that are no matches. */
static void other_matches_are_not_the_same(void **state)
{
        struct xt_entry ours = { 0 };
        struct xt_entry theirs = { 0 };
        unsigned char garbage[64];
        struct rule rule = { 0 };

        (void)state;
        xt_add_matches(&ours, &RULES[2]);
        xt_add_matches(&theirs, &RULES[2]);
        theirs.bytes[32] ^= 1; /* the first byte after the match's head */
        assert_false(xt_is_same_matches(ours.bytes, theirs.bytes, ours.length));
        theirs.bytes[32] ^= 1;
        theirs.bytes[30] = 'x'; /* after the end of the name: a reader's own byte */
        assert_true(xt_is_same_matches(ours.bytes, theirs.bytes, ours.length));
        for (int value = 0; value < 256; value++) {
                memset(garbage, value, sizeof garbage);
                xt_get_matches(&rule, garbage, sizeof garbage);
                assert_false(xt_is_same_matches(garbage, ours.bytes, sizeof garbage));
        }
}

static void targets_are_named(void **state)
{
        static const struct {
                const char *name;
                bool is_chain;
                enum rule_verdict verdict;
        } TARGETS[] = { { "DROP", false, RULE_DROP },     { "ACCEPT", false, RULE_ACCEPT },
                        { "RETURN", false, RULE_RETURN }, { "MASQUERADE", false, RULE_MASQUERADE },
                        { "LOG", false, RULE_OTHER },     { "CARREL", true, RULE_JUMP },
                        { "", false, RULE_OTHER } };

        (void)state;
        for (size_t i = 0; i < sizeof TARGETS / sizeof *TARGETS; i++) {
                struct rule rule = { 0 };

                xt_get_target(&rule, TARGETS[i].name, TARGETS[i].is_chain);
                assert_int_equal(rule.verdict, TARGETS[i].verdict);
                if (rule.verdict >= RULE_JUMP)
                        assert_string_equal(rule.target, TARGETS[i].name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(interfaces_round_trip), cmocka_unit_test(broken_interfaces_read_as_any),
                cmocka_unit_test(matches_round_trip),    cmocka_unit_test(other_matches_are_not_the_same),
                cmocka_unit_test(targets_are_named),     cmocka_unit_test(a_rule_with_every_match_has_room),
        };

        return cmocka_run_group_tests_name("netpolicy: xt", tests, NULL, NULL);
}
