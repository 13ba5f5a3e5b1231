/* Files with holes in tar archives, as GNU tar and its followers write them: the old form (type S), and the three of
 * pax headers (0.0, 0.1, 1.0; "Storing Sparse Files" in GNU tar's manual). Only what is between the holes is stored.
 * Pure: nothing is read here. Functions that return a text return NULL when all is well, else what is wrong. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "files-tar.h"

enum { SPARSE_PARTS_MAX = 32768 };

struct sparse_part {
        long long offset, length;
};

struct sparse {
        bool is_one;            /* something said so */
        bool has_whole;         /* `whole` is known */
        bool has_map;           /* in front of the data: version 1.0 */
        bool is_extended;       /* old form: another block of parts follows */
        long long major, minor; /* of the pax form */
        long long whole;        /* the file's size with its holes */
        long long announced;    /* parts in the map; -1: not read yet */
        long long number;       /* of the map, as far as it has been read */
        unsigned n_digits;      /* of that */
        size_t n_numbers;       /* of the parts, read or taken: two for each */
        size_t n_parts;         /* whole ones */
        struct sparse_part parts[SPARSE_PARTS_MAX];
};

/* For the next entry. Zeroed is the same. */
void sparse_forget(struct sparse *sparse);
bool sparse_is_one(const struct sparse *sparse);

/* A pax record, its key without "GNU.sparse.". */
const char *sparse_take(struct sparse *sparse, const char *key, size_t key_length, const char *value, size_t length);
/* The header of the old form, and the blocks that follow it as long as one is wanted. */
const char *sparse_take_header(struct sparse *sparse, const struct tar_header *header);
bool sparse_wants_block(const struct sparse *sparse);
const char *sparse_take_block(struct sparse *sparse, const char block[static TAR_BLOCK]);
/* The map of version 1.0, which stands in front of the data in whole blocks. */
bool sparse_wants_map(const struct sparse *sparse);
const char *sparse_feed(struct sparse *sparse, const char block[static TAR_BLOCK]);
/* Whether the parts follow each other, lie in the file and are what is stored. *ret_whole is the file's size. */
const char *sparse_check(const struct sparse *sparse, long long stored, long long *ret_whole);
