/* The enforcer against a kernel that this test plays: one that lacks what bounds flows, and one that cannot end them.
 * The linker leads the enforcer's calls here (meson.build). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "enforcer.h"
#include "flows.h"
#include "iptc.h"
#include "nft.h"
#include "sysctl.h"

static struct {
        bool has_bounds, has_rules, can_end;
        unsigned installs, sweeps;
        uint32_t table_size;
} kernel;

int __wrap_iptc_verify(const struct ruleset *ruleset, struct iptc_state *ret_state, struct fault *why);
int __wrap_iptc_install(const struct ruleset *ruleset, struct fault *why);
int __wrap_flows_end(bool (*is_over)(const void *arg, const struct policy_flow *flow), const void *arg,
                     struct fault *why);
int __wrap_nft_open_forward(const char *interface_prefix, struct fault *why);
int __wrap_sysctl_set(const char *path, const char *value);
int __wrap_sysctl_get_u32(const char *path, uint32_t *ret_value);

static int lack(struct fault *why)
{
        return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, EOPNOTSUPP, "connections are not bounded");
}

int __wrap_iptc_verify(const struct ruleset *ruleset, struct iptc_state *ret_state, struct fault *why)
{
        if (ruleset->chain_count == RULE_CHAINS && !kernel.has_bounds)
                return lack(why);
        *ret_state = (struct iptc_state){ .is_in_force = kernel.has_rules };
        return 0;
}

int __wrap_iptc_install(const struct ruleset *ruleset, struct fault *why)
{
        kernel.installs++;
        if (ruleset->chain_count == RULE_CHAINS && !kernel.has_bounds)
                return lack(why);
        kernel.has_rules = true;
        return 0;
}

int __wrap_flows_end(bool (*is_over)(const void *arg, const struct policy_flow *flow), const void *arg,
                     struct fault *why)
{
        (void)is_over;
        (void)arg;
        kernel.sweeps++;
        return kernel.can_end ? 0 : fault_set(why, FAULT_INTERNAL, EOPNOTSUPP, "they cannot be ended");
}

int __wrap_nft_open_forward(const char *interface_prefix, struct fault *why)
{
        (void)interface_prefix;
        (void)why;
        return 0;
}

int __wrap_sysctl_set(const char *path, const char *value)
{
        (void)path;
        (void)value;
        return 0;
}

int __wrap_sysctl_get_u32(const char *path, uint32_t *ret_value)
{
        *ret_value = strstr(path, "count") != NULL ? 7 : kernel.table_size;
        return 0;
}

static struct enforcer *start(const struct policy *policy)
{
        struct enforcer *enforcer = NULL;

        assert_int_equal(enforcer_new(&enforcer), 0);
        assert_int_equal(enforcer_apply(enforcer, policy, false, NULL), 0);
        return enforcer;
}

static struct policy make_policy(void)
{
        struct policy_texts texts = { "default", "10.213.0.0/16", "", "", "", 0, 50, 100 };
        struct policy policy;

        assert_int_equal(policy_parse(&policy, &texts, NULL), 0);
        memset(&kernel, 0, sizeof kernel);
        kernel.has_bounds = kernel.can_end = true;
        kernel.table_size = 262144;
        return policy;
}

static void a_whole_kernel_is_in_force(void **state)
{
        struct policy policy = make_policy();
        struct enforcer *enforcer = start(&policy);

        (void)state;
        assert_string_equal(enforcer_state(enforcer)->detail, "in force (installed)");
        assert_int_equal(enforcer_state(enforcer)->flows_max, 1966);
        assert_int_equal(enforcer_state(enforcer)->flows, 7);
        assert_int_equal(kernel.sweeps, 1);
        assert_int_equal(enforcer_check(enforcer, NULL), 0);
        assert_int_equal(kernel.sweeps, 1); /* nothing has changed */
        assert_int_equal(kernel.installs, 1);
        kernel.has_rules = false;
        assert_int_equal(enforcer_check(enforcer, NULL), 0);
        assert_int_equal(enforcer_state(enforcer)->heals, 1);
        assert_int_equal(kernel.sweeps, 2); /* what was open meanwhile */
        (void)enforcer_free(enforcer);
}

/* Denied is denied all the same; it is said, and the rest is not tried once a second. */
static void a_kernel_without_bounds_serves_and_says_so(void **state)
{
        struct policy policy = make_policy();
        struct enforcer *enforcer;

        (void)state;
        kernel.has_bounds = false;
        enforcer = start(&policy);
        assert_true(enforcer_state(enforcer)->is_in_force);
        assert_string_equal(enforcer_state(enforcer)->detail, "in force, but connections are not bounded");
        assert_int_equal(enforcer_state(enforcer)->flows_max, 0);
        assert_int_equal(kernel.installs, 1);
        assert_int_equal(enforcer_check(enforcer, NULL), 0);
        assert_int_equal(kernel.installs, 1);
        assert_string_equal(enforcer_state(enforcer)->detail, "in force, but connections are not bounded");
        kernel.has_bounds = true; /* modprobe, and a reload */
        kernel.has_rules = false;
        assert_int_equal(enforcer_apply(enforcer, &policy, false, NULL), 0);
        assert_int_equal(enforcer_state(enforcer)->flows_max, 1966);
        (void)enforcer_free(enforcer);
}

static void a_kernel_that_cannot_end_flows_serves_and_says_so(void **state)
{
        struct policy policy = make_policy();
        struct enforcer *enforcer;

        (void)state;
        kernel.can_end = false;
        enforcer = start(&policy);
        assert_true(enforcer_state(enforcer)->is_in_force);
        assert_string_equal(enforcer_state(enforcer)->detail, "in force, but they cannot be ended");
        (void)enforcer_free(enforcer);
}

static void a_share_follows_the_table_and_is_no_heal(void **state)
{
        struct policy policy = make_policy();
        struct enforcer *enforcer = start(&policy);

        (void)state;
        kernel.table_size = 65536;
        kernel.has_rules = false; /* other numbers are other rules */
        assert_int_equal(enforcer_check(enforcer, NULL), 0);
        assert_int_equal(enforcer_state(enforcer)->flows_max, 491);
        assert_int_equal(enforcer_state(enforcer)->heals, 0);
        (void)enforcer_free(enforcer);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_whole_kernel_is_in_force),
                cmocka_unit_test(a_kernel_without_bounds_serves_and_says_so),
                cmocka_unit_test(a_kernel_that_cannot_end_flows_serves_and_says_so),
                cmocka_unit_test(a_share_follows_the_table_and_is_no_heal),
        };

        return cmocka_run_group_tests_name("netpolicy: enforcer", tests, NULL, NULL);
}
