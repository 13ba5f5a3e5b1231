#include "policy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

_Static_assert(sizeof(struct policy) ==
                       POLICY_POOL_BYTES + 8 + 8 + 16 + 8 * POLICY_DENIED_MAX + 12 * POLICY_PINHOLES_MAX,
               "struct policy travels between processes: no padding");

enum { ITEM_BYTES = 48 };

static const struct cidr LOOPBACK = { .address = 0x7f000000, .length = 8 };
static const char NAME_CHARACTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

typedef const char *(*take_item)(struct policy *policy, const char *item);

static const char *add_pinhole(struct policy *policy, struct cidr to, uint16_t port)
{
        if (policy->pinhole_count == POLICY_PINHOLES_MAX)
                return "allow and dns together have more than 64 items";
        policy->pinholes[policy->pinhole_count++] = (struct pinhole){ .to = to, .port = port };
        return NULL;
}

static const char *take_deny(struct policy *policy, const char *item)
{
        struct cidr cidr;
        const char *problem = cidr_parse(item, &cidr);

        if (problem != NULL)
                return problem;
        if (policy->denied_count == POLICY_DENIED_MAX)
                return "the list has more than 256 items";
        policy->denied[policy->denied_count++] = cidr;
        return NULL;
}

static const char *take_allow(struct policy *policy, const char *item)
{
        struct cidr cidr;
        uint16_t port = 0;
        const char *problem = cidr_parse_with_port(item, &cidr, &port);

        return problem != NULL ? problem : add_pinhole(policy, cidr, port);
}

static const char *take_dns(struct policy *policy, const char *item)
{
        struct cidr cidr;
        const char *problem = cidr_parse(item, &cidr);

        if (problem != NULL)
                return problem;
        if (cidr.length != 32)
                return "a resolver is one address";
        return add_pinhole(policy, cidr, 53);
}

/* Copies the item at *text without the spaces around it and moves *text past it. A long item is cut, at a length that
 * every parser of items still refuses. */
static void next_item(const char **text, char item[static ITEM_BYTES + 1])
{
        size_t length = strcspn(*text, ",");
        const char *start = *text;

        *text += length;
        while (length > 0 && *start == ' ') {
                start++;
                length--;
        }
        while (length > 0 && start[length - 1] == ' ')
                length--;
        if (length > ITEM_BYTES)
                length = ITEM_BYTES;
        memcpy(item, start, length);
        item[length] = '\0';
}

/* Replaces all but printable ASCII, so that a message never contains raw bytes of a setting. */
static void make_printable(char *text)
{
        for (; *text != '\0'; text++)
                if (*text < ' ' || *text > '~')
                        *text = '?';
}

static int parse_list(struct policy *policy, const char *setting, const char *text, take_item take, struct fault *why)
{
        if (text == NULL || text[strspn(text, " ")] == '\0')
                return 0;
        for (;; text++) {
                char item[ITEM_BYTES + 1];
                const char *problem;

                next_item(&text, item);
                problem = take(policy, item);
                if (problem != NULL) {
                        make_printable(item);
                        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "%s: \"%s\": %s", setting, item, problem);
                }
                if (*text == '\0')
                        return 0;
        }
}

int policy_parse(struct policy *ret_policy, const struct policy_texts *texts, struct fault *why)
{
        struct policy policy = { 0 };
        const char *network = texts->network_cidr != NULL ? texts->network_cidr : "";
        const char *problem = cidr_parse(network, &policy.network);
        int r;

        if (problem != NULL)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "network_cidr: %s", problem);
        if (texts->pool == NULL || str_copy(policy.pool, sizeof policy.pool, texts->pool) < 0)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "pool: the name must have 1 to 63 characters");
        policy.flows_max = texts->flows_max;
        policy.flows_new_per_s = texts->flows_new_per_s;
        policy.carrels_max = texts->carrels_max;
        r = parse_list(&policy, "deny", texts->deny, take_deny, why);
        if (r == 0)
                r = parse_list(&policy, "allow", texts->allow, take_allow, why);
        if (r == 0)
                r = parse_list(&policy, "dns", texts->dns, take_dns, why);
        if (r == 0)
                r = policy_validate(&policy, why);
        if (r == 0)
                *ret_policy = policy;
        return r;
}

static const char *check_pinhole(const struct policy *policy, const struct pinhole *pinhole)
{
        if (!cidr_is_valid(pinhole->to))
                return "is not a valid network";
        if (pinhole->to.length < POLICY_PINHOLE_SHORTEST)
                return "is wider than a /8: a pinhole names a few addresses";
        if (cidr_overlaps(pinhole->to, policy->network))
                return "covers other carrels (network_cidr), which never reach each other";
        if (cidr_overlaps(pinhole->to, LOOPBACK))
                return "is loopback, which carrels cannot reach: name another address of the host";
        return NULL;
}

static int check_pinholes(const struct policy *policy, struct fault *why)
{
        for (uint32_t i = 0; i < policy->pinhole_count; i++) {
                const char *problem = check_pinhole(policy, &policy->pinholes[i]);
                char text[CIDR_TEXT_BYTES];

                if (problem == NULL)
                        continue;
                cidr_format(policy->pinholes[i].to, text);
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "allow or dns: %s %s", text, problem);
        }
        return 0;
}

static bool is_pool_name(const char pool[static POLICY_POOL_BYTES])
{
        size_t length = strnlen(pool, POLICY_POOL_BYTES);

        return length > 0 && length < POLICY_POOL_BYTES && strspn(pool, NAME_CHARACTERS) == length;
}

int policy_validate(const struct policy *policy, struct fault *why)
{
        if (!is_pool_name(policy->pool))
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL,
                                 "pool: the name must be 1 to 63 letters, digits, dots, dashes or underscores");
        if (!cidr_is_valid(policy->network) || policy->network.length < POLICY_NETWORK_SHORTEST ||
            policy->network.length > POLICY_NETWORK_LONGEST)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "network_cidr: it must be a /8 to a /28");
        if (policy->network.address >> 24 == 0 || policy->network.address >= 0xe0000000 ||
            cidr_overlaps(policy->network, LOOPBACK))
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL,
                                 "network_cidr: it must not be in 0.0.0.0/8, 127.0.0.0/8 or 224.0.0.0/3");
        if (policy->denied_count > POLICY_DENIED_MAX || policy->pinhole_count > POLICY_PINHOLES_MAX)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "deny, allow or dns: too many items");
        if (policy->flows_max > POLICY_FLOWS_MOST || policy->flows_new_per_s > POLICY_FLOWS_PER_S_MOST)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL,
                                 "flows_max is at most %d, flows_new_per_s at most %d", POLICY_FLOWS_MOST,
                                 POLICY_FLOWS_PER_S_MOST);
        for (uint32_t i = 0; i < policy->denied_count; i++)
                if (!cidr_is_valid(policy->denied[i]))
                        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "deny: item %u is not a valid network",
                                         i + 1);
        return check_pinholes(policy, why);
}

uint32_t policy_flows_max(const struct policy *policy, uint32_t table_size)
{
        uint32_t share = table_size / 4 * 3 / (policy->carrels_max > 0 ? policy->carrels_max : 1);

        if (policy->flows_max > 0)
                return policy->flows_max;
        if (share < POLICY_SHARE_LEAST)
                return POLICY_SHARE_LEAST;
        return share < POLICY_SHARE_MOST ? share : POLICY_SHARE_MOST;
}

/* FNV-1a, 32 bits (draft-eastlake-fnv). */
static uint32_t hash_name(const char *name)
{
        uint32_t hash = 2166136261U;

        for (; *name != '\0'; name++)
                hash = (hash ^ (unsigned char)*name) * 16777619U;
        return hash;
}

void policy_name(const struct policy *policy, struct policy_names *ret_names)
{
        unsigned hash = hash_name(policy->pool) & 0xfffff;

        *ret_names = (struct policy_names){ "carrel", "CARREL" };
        if (str_equal(policy->pool, "default"))
                return;
        (void)snprintf(ret_names->interface_prefix, sizeof ret_names->interface_prefix, "car%05x.", hash);
        (void)snprintf(ret_names->chain, sizeof ret_names->chain, "CARREL-%05x", hash);
}
