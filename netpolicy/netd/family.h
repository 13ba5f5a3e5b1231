/* libip4tc and libip6tc as one table of calls, on rules instead of entries. Only iptc.c uses it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rules.h"

struct xtc_handle;

/* Positions are counted from 0. Calls that return int do as libiptc: 0 is failure, with errno. */
struct family {
        struct xtc_handle *(*init)(const char *table); /* a snapshot of the table; NULL with errno */
        void (*free)(struct xtc_handle *handle);
        int (*commit)(struct xtc_handle *handle);
        int (*has_chain)(struct xtc_handle *handle, const char *chain);
        int (*create)(struct xtc_handle *handle, const char *chain);
        int (*flush)(struct xtc_handle *handle, const char *chain);
        int (*append)(struct xtc_handle *handle, const char *chain, const struct rule *rule);
        int (*insert)(struct xtc_handle *handle, const char *chain, const struct rule *rule, unsigned position);
        int (*remove)(struct xtc_handle *handle, const char *chain, unsigned position);
        /* Reads the rules of a chain into rules[room] (NULL: only counts). Returns their number. */
        size_t (*read)(struct xtc_handle *handle, const char *chain, struct rule *rules, size_t room);
        const char *(*explain)(int err);
};

extern const struct family FAMILY_IPV4, FAMILY_IPV6;
