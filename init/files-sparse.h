/* Files with holes in tar archives, as GNU tar writes them: the old form (type S), and three forms in pax headers (0.0,
 * 0.1, 1.0; "Storing Sparse Files" in GNU tar's manual). An archive has only the parts between the holes. Pure: reads
 * nothing. Functions that return a text return NULL on success, else what is wrong. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "files-tar.h"

enum { SPARSE_PARTS_MAX = 32768 };

struct sparse_part {
        long long offset, length;
};

struct sparse {
        bool is_one;            /* the entry is a file with holes */
        bool has_whole;         /* `whole` is known */
        bool has_map;           /* a map is before the data: version 1.0 */
        bool is_extended;       /* old form: another block of parts follows */
        long long major, minor; /* of the pax form */
        long long whole;        /* the file's size with its holes */
        long long announced;    /* number of parts in the map; -1: not read yet */
        long long number;       /* the number in the map that is being read */
        unsigned n_digits;      /* digits of `number` so far */
        size_t n_numbers;       /* numbers read so far, two for each part */
        size_t n_parts;         /* complete parts */
        struct sparse_part parts[SPARSE_PARTS_MAX];
};

/* Starts the next entry. A zeroed struct is the same. */
void sparse_forget(struct sparse *sparse);
bool sparse_is_one(const struct sparse *sparse);

/* Takes a pax record; key is without "GNU.sparse.". */
const char *sparse_take(struct sparse *sparse, const char *key, size_t key_length, const char *value, size_t length);
/* The header of the old form, and the blocks that follow it while is_extended is set. */
const char *sparse_take_header(struct sparse *sparse, const struct tar_header *header);
bool sparse_wants_block(const struct sparse *sparse);
const char *sparse_take_block(struct sparse *sparse, const char block[static TAR_BLOCK]);
/* The map of version 1.0, which is before the data, in whole blocks. */
bool sparse_wants_map(const struct sparse *sparse);
const char *sparse_feed(struct sparse *sparse, const char block[static TAR_BLOCK]);
/* Checks that the parts follow each other, lie in the file, and add up to the stored size. *ret_whole is the file's
 * size. */
const char *sparse_check(const struct sparse *sparse, long long stored, long long *ret_whole);
