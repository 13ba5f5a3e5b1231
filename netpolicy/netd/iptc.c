#include "iptc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "family.h"
#include "lock.h"
#include "scope.h"
#include "str.h"

enum {
        TRIES = 5,
        LOCK_WAIT_MS = 500,
        RULES_READ_MAX = 1 << 20, /* of a chain; more than any real firewall has */
};

static const struct family *const FAMILIES[RULE_FAMILIES] = {
        [RULE_IPV4] = &FAMILY_IPV4,
        [RULE_IPV6] = &FAMILY_IPV6,
};

/* Our chains of one table, which share one snapshot and one commit. */
struct table {
        const struct family *family;
        const char *name;
        const struct rule_chain *chains;
        size_t count;
        struct xtc_handle *handle;
};

static bool next_table(const struct ruleset *ruleset, struct table *table)
{
        const struct rule_chain *end = ruleset->chains + ruleset->chain_count;
        const struct rule_chain *first = table->chains == NULL ? ruleset->chains : table->chains + table->count;

        if (first == end)
                return false;
        *table = (struct table){ FAMILIES[first->family], first->table, first, 0, NULL };
        while (first + table->count < end && first[table->count].family == first->family &&
               str_equal(first[table->count].table, first->table))
                table->count++;
        return true;
}

static void table_close(struct table *table)
{
        if (table->handle != NULL)
                table->family->free(table->handle);
        table->handle = NULL;
}

static bool has_no_ipv6(void)
{
        AUTO(auto_close) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return fd < 0 && errno == EAFNOSUPPORT;
}

static int explain(const struct table *table, const char *what, int err, struct fault *why)
{
        bool is_ipv4 = table->family == &FAMILY_IPV4;
        const char *address = is_ipv4 ? "IPv4" : "IPv6";

        if (table->chains->may_be_missing && (err == ENOPROTOOPT || err == ENOENT || err == EOPNOTSUPP))
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, EOPNOTSUPP,
                                 "a carrel's connections are not limited: modprobe iptable_mangle xt_connlimit "
                                 "xt_hashlimit, then reload carreld");
        if (err == ENOPROTOOPT || err == ENOENT)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, err,
                                 "the kernel has no legacy %s table \"%s\": load its module (modprobe %s_%s)", address,
                                 table->name, is_ipv4 ? "iptable" : "ip6table", table->name);
        return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, err, "%s the %s table \"%s\": %s", what, address, table->name,
                         table->family->explain(err));
}

/* Returns 1 with the snapshot, 0 if the kernel has no IPv6, or a negative errno. */
static int table_open(struct table *table, struct fault *why)
{
        for (int i = 0; i < TRIES; i++) {
                errno = 0;
                table->handle = table->family->init(table->name);
                if (table->handle != NULL)
                        return 1;
                if (errno != EAGAIN) /* the table changed during the read */
                        break;
        }
        if (table->family == &FAMILY_IPV6 && has_no_ipv6())
                return 0;
        return explain(table, "cannot read", errno, why);
}

/* A chain's rules, malloc'd; *ret_count may be 0 and *ret_rules NULL. */
static int read_chain(const struct table *table, const char *chain, struct rule **ret_rules, size_t *ret_count)
{
        size_t count = table->family->read(table->handle, chain, NULL, 0);
        struct rule *rules = NULL;

        if (count > RULES_READ_MAX)
                return -E2BIG;
        if (count > 0) {
                rules = calloc(count, sizeof *rules);
                if (rules == NULL)
                        return -ENOMEM;
                count = table->family->read(table->handle, chain, rules, count);
        }
        *ret_rules = rules;
        *ret_count = count;
        return 0;
}

static uint64_t count_drops(const struct rule *rules, size_t count)
{
        uint64_t packets = 0;

        for (size_t i = 0; i < count; i++)
                if (rules[i].verdict == RULE_DROP)
                        packets += rules[i].packets;
        return packets;
}

static int compare_chain(const struct table *table, const struct rule_chain *wanted, struct iptc_state *state)
{
        AUTO(auto_free) struct rule *hook = NULL;
        AUTO(auto_free) struct rule *chain = NULL;
        struct plan_found found = { 0 };
        int r;

        found.has_chain = table->family->has_chain(table->handle, wanted->name) != 0;
        r = read_chain(table, wanted->hook, &hook, &found.hook_count);
        if (r == 0 && found.has_chain)
                r = read_chain(table, wanted->name, &chain, &found.chain_count);
        if (r < 0)
                return r;
        found.hook = hook;
        found.chain = chain;
        *(wanted->may_be_missing ? &state->refused_packets : &state->dropped_packets) +=
                count_drops(chain, found.chain_count);
        if (state->is_in_force)
                state->is_in_force = plan_is_in_force(wanted, &found, state->difference);
        return 0;
}

static int compare_table(const struct table *table, struct iptc_state *state, struct fault *why)
{
        for (size_t i = 0; i < table->count; i++) {
                int r = compare_chain(table, &table->chains[i], state);

                if (r < 0)
                        return explain(table, "cannot read", -r, why);
        }
        return 0;
}

int iptc_verify(const struct ruleset *ruleset, struct iptc_state *ret_state, struct fault *why)
{
        struct iptc_state state = { .is_in_force = true };
        AUTO(table_close) struct table table = { 0 };

        while (next_table(ruleset, &table)) {
                int r = table_open(&table, why);

                if (r > 0)
                        r = compare_table(&table, &state, why);
                table_close(&table);
                if (r < 0)
                        return r;
        }
        *ret_state = state;
        return 0;
}

/* flock(2) as iptables(8) does, but with a deadline. */
static int take_lock(int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int fd = open(IPTC_LOCK_PATH, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        if (fd < 0)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, errno, "cannot open %s: %s", IPTC_LOCK_PATH,
                                 strerror(errno));
        r = lock_exclusive(fd, LOCK_WAIT_MS);
        if (r == -EWOULDBLOCK)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, ETIMEDOUT,
                                 "cannot restore the rules: another program holds %s", IPTC_LOCK_PATH);
        if (r < 0)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, -r, "cannot lock %s: %s", IPTC_LOCK_PATH,
                                 strerror(-r));
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Removes all our anchors from the built-in chain, from its end, so that positions do not move. */
static int remove_anchors(const struct table *table, const struct rule_chain *wanted)
{
        AUTO(auto_free) struct rule *hook = NULL;
        size_t count = 0;
        int r = read_chain(table, wanted->hook, &hook, &count);

        for (size_t i = count; r == 0 && i > 0; i--)
                if (plan_is_anchor(wanted, &hook[i - 1]) &&
                    table->family->remove(table->handle, wanted->hook, (unsigned)(i - 1)) == 0)
                        r = -errno;
        return r;
}

static int fill_chain(const struct table *table, const struct rule_chain *wanted)
{
        const struct family *family = table->family;
        int is_done = family->has_chain(table->handle, wanted->name) != 0 ? family->flush(table->handle, wanted->name)
                                                                          : family->create(table->handle, wanted->name);

        for (size_t i = 0; is_done != 0 && i < wanted->count; i++)
                is_done = family->append(table->handle, wanted->name, &wanted->rules[i]);
        for (size_t i = wanted->anchor_count; is_done != 0 && i > 0; i--)
                is_done = family->insert(table->handle, wanted->hook, &wanted->anchors[i - 1], 0);
        return is_done != 0 ? 0 : -errno;
}

static int rebuild(const struct table *table, struct fault *why)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < table->count; i++) {
                r = remove_anchors(table, &table->chains[i]);
                if (r == 0)
                        r = fill_chain(table, &table->chains[i]);
        }
        if (r == 0 && table->family->commit(table->handle) == 0)
                r = -errno;
        return r == 0 ? 0 : explain(table, "cannot write", -r, why);
}

/* Takes one snapshot, compares, and rebuilds what differs. Returns 0, or 1 after a commit that must be read back. */
static int mend_once(struct table *table, struct fault *why)
{
        struct iptc_state state = { .is_in_force = true };
        int r = table_open(table, why);

        if (r <= 0)
                return r;
        r = compare_table(table, &state, why);
        if (r == 0 && !state.is_in_force) {
                (void)fault_set(why, FAULT_POLICY_NOT_IN_FORCE, EAGAIN, "%s", state.difference);
                r = rebuild(table, why);
                r = r == 0 || r == -EAGAIN ? 1 : r;
        }
        table_close(table);
        return r;
}

static int mend_table(struct table *table, struct fault *why)
{
        struct fault seen = { 0 };
        int r = 1;

        for (int i = 0; i < TRIES && r > 0; i++)
                r = mend_once(table, &seen);
        table_close(table);
        if (r > 0)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, EAGAIN,
                                 "the kernel did not keep the rules we wrote: %s", seen.message);
        return r == 0 ? 0 : fault_pass(why, &seen);
}

int iptc_install(const struct ruleset *ruleset, struct fault *why)
{
        struct table table = { 0 };
        AUTO(auto_close) int lock_fd = -1;
        int r = take_lock(&lock_fd, why);

        while (r == 0 && next_table(ruleset, &table))
                r = mend_table(&table, why);
        return r;
}
