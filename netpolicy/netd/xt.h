/* One entry of an x_tables table as the kernel wants it: header, matches, target, each XT_ALIGNed and zero-padded
 * (linux/netfilter/x_tables.h). The part that IPv4 and IPv6 share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules.h"

enum {
        XT_HEAD_BYTES = 256, /* at least what a family's head takes */
        XT_ENTRY_BYTES = 2048
};

struct xt_entry {
        _Alignas(16) unsigned char bytes[XT_ENTRY_BYTES]; /* zero-initialise */
        size_t length;
};

/* Appends the matches the rule needs behind the header that is there. */
void xt_add_matches(struct xt_entry *entry, const struct rule *rule);
void xt_add_target(struct xt_entry *entry, const struct rule *rule);

/* "carrel+" or "eth0" into a name and its mask of 16 bytes each, as iptables(8) fills them; and back: with an
 * inverted or unreadable one "" (any), which is the careful reading of a rule that is not ours. */
void xt_put_interface(const char *pattern, char name[static 16], unsigned char mask[static 16]);
void xt_get_interface(char pattern[static 16], const char name[static 16], const unsigned char mask[static 16]);

/* Reads matches (bytes of an entry between header and target) into the rule's flags and port. What it does not know
 * is left out: the caller encodes the rule again and compares. */
void xt_get_matches(struct rule *rule, const unsigned char *matches, size_t length);
/* Whether two runs of matches say the same. Not memcmp: behind a match's name the kernel leaves bytes of the reader's
 * own buffer as they were (xt_obj_to_user, net/netfilter/x_tables.c). */
bool xt_is_same_matches(const unsigned char *a, const unsigned char *b, size_t length);
/* The same for two targets with data; length is that of both. */
bool xt_is_same_target(const unsigned char *a, const unsigned char *b, size_t length);

/* From the target's name as libiptc gives it: "DROP", a chain, an extension. */
void xt_get_target(struct rule *rule, const char *name, bool is_chain);
