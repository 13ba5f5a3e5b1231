#include "files-sparse.h"

#include <stdint.h>
#include <string.h>

static const char MALFORMED[] = "a malformed map of a file with holes";
static const char TOO_MANY[] = "a file with too many holes";
static const long long NUMBER_MAX = 1LL << 62;

/* Where the parts are in the old form. */
static const size_t PART_BYTES = 24;
enum {
        FIELD_BYTES = 12,
        HEADER_PARTS_AT = 386,
        HEADER_PARTS = 4,
        HEADER_EXTENDED_AT = 482,
        HEADER_WHOLE_AT = 483,
        BLOCK_PARTS = 21,
        BLOCK_EXTENDED_AT = 504,
};

void sparse_forget(struct sparse *sparse)
{
        memset(sparse, 0, offsetof(struct sparse, parts));
}

bool sparse_is_one(const struct sparse *sparse)
{
        return sparse->is_one;
}

/* ---- parts ---- */

/* Offset and length alternate. */
static const char *add_number(struct sparse *sparse, long long number)
{
        struct sparse_part *part = &sparse->parts[sparse->n_parts];

        if (sparse->n_parts == SPARSE_PARTS_MAX)
                return TOO_MANY;
        if (sparse->n_numbers++ % 2 == 0) {
                part->offset = number;
        } else {
                part->length = number;
                sparse->n_parts++;
        }
        return NULL;
}

static bool read_decimal(const char *text, size_t length, long long *ret_number)
{
        long long number = 0;

        if (length == 0)
                return false;
        for (size_t i = 0; i < length; i++) {
                if (text[i] < '0' || text[i] > '9' || number > NUMBER_MAX / 10 - 1)
                        return false;
                number = number * 10 + (text[i] - '0');
        }
        *ret_number = number;
        return true;
}

/* ---- pax ---- */

/* Version 0.1: "offset,length,offset,length,...". */
static const char *take_list(struct sparse *sparse, const char *at, size_t left)
{
        while (left > 0) {
                const char *comma = memchr(at, ',', left);
                size_t length = comma != NULL ? (size_t)(comma - at) : left;
                const char *problem;
                long long number;

                if (!read_decimal(at, length, &number))
                        return MALFORMED;
                problem = add_number(sparse, number);
                if (problem != NULL)
                        return problem;
                at += length + (comma != NULL);
                left -= length + (comma != NULL);
        }
        return NULL;
}

/* Version 0.0: one record for each number; offset and length alternate. */
static const char *take_one(struct sparse *sparse, bool is_length, long long number)
{
        return (sparse->n_numbers % 2 == 1) == is_length ? add_number(sparse, number) : MALFORMED;
}

const char *sparse_take(struct sparse *sparse, const char *key, size_t key_length, const char *value, size_t length)
{
        static const char *const KEYS[] = { "map",      "size",   "realsize",  "major", "minor",
                                            "numbytes", "offset", "numblocks", NULL };
        long long number = 0;
        size_t which = 0;

        while (KEYS[which] != NULL && (strlen(KEYS[which]) != key_length || memcmp(KEYS[which], key, key_length) != 0))
                which++;
        sparse->is_one = true;
        if (which == 0)
                return take_list(sparse, value, length);
        if (KEYS[which] == NULL || !read_decimal(value, length, &number))
                return MALFORMED;
        switch (which) {
        case 1:
        case 2:
                sparse->has_whole = true;
                sparse->whole = number;
                return NULL;
        case 3:
                sparse->major = number;
                sparse->has_map = number == 1;
                sparse->announced = -1;
                return number <= 1 ? NULL : "a file with holes of an unknown version";
        case 4:
                sparse->minor = number;
                return number <= 1 ? NULL : "a file with holes of an unknown version";
        case 5:
                return take_one(sparse, true, number);
        case 6:
                return take_one(sparse, false, number);
        default: /* the number of parts is counted, not read */
                return NULL;
        }
}

bool sparse_wants_map(const struct sparse *sparse)
{
        return sparse->has_map && (sparse->announced < 0 ||
                                   (unsigned long long)sparse->n_numbers < 2 * (unsigned long long)sparse->announced);
}

static const char *end_number(struct sparse *sparse)
{
        long long number = sparse->number;

        if (sparse->n_digits == 0)
                return MALFORMED;
        sparse->number = 0;
        sparse->n_digits = 0;
        if (sparse->announced >= 0)
                return add_number(sparse, number);
        if (number > SPARSE_PARTS_MAX)
                return TOO_MANY;
        sparse->announced = number;
        return NULL;
}

/* Decimal numbers, one a line; a line may go on in the next block. */
const char *sparse_feed(struct sparse *sparse, const char block[static TAR_BLOCK])
{
        const char *problem = NULL;

        for (size_t i = 0; i < TAR_BLOCK && problem == NULL && sparse_wants_map(sparse); i++) {
                if (block[i] == '\n') {
                        problem = end_number(sparse);
                        continue;
                }
                if (block[i] < '0' || block[i] > '9' || sparse->n_digits == 18)
                        return MALFORMED;
                sparse->number = sparse->number * 10 + (block[i] - '0');
                sparse->n_digits++;
        }
        return problem;
}

/* ---- the old form ---- */

/* An octal or a base-256 number. */
static bool read_field(const char *field, long long *ret_number)
{
        long long number = 0;
        size_t i = 0;

        if ((field[0] & 0x80) != 0) {
                for (i = 1; i < FIELD_BYTES; i++) {
                        if (number > NUMBER_MAX >> 8)
                                return false;
                        number = number << 8 | (unsigned char)field[i];
                }
                *ret_number = number;
                return field[0] == (char)0x80;
        }
        while (i < FIELD_BYTES && field[i] == ' ')
                i++;
        for (; i < FIELD_BYTES && field[i] >= '0' && field[i] <= '7'; i++)
                number = number << 3 | (field[i] - '0');
        *ret_number = number;
        return i == FIELD_BYTES || field[i] == ' ' || field[i] == '\0';
}

/* An empty part ends the list. */
static const char *take_parts(struct sparse *sparse, const char *at, size_t count)
{
        const char *problem = NULL;

        for (size_t i = 0; i < count && problem == NULL && at[0] != '\0'; i++, at += PART_BYTES) {
                long long offset, length;

                if (!read_field(at, &offset) || !read_field(at + FIELD_BYTES, &length))
                        return MALFORMED;
                problem = add_number(sparse, offset);
                if (problem == NULL)
                        problem = add_number(sparse, length);
        }
        return problem;
}

const char *sparse_take_header(struct sparse *sparse, const struct tar_header *header)
{
        const char *bytes = (const char *)header;

        if (sparse->is_one || memcmp(header->magic, "ustar ", sizeof header->magic) != 0)
                return MALFORMED;
        sparse->is_one = sparse->has_whole = true;
        if (!read_field(bytes + HEADER_WHOLE_AT, &sparse->whole))
                return MALFORMED;
        sparse->is_extended = bytes[HEADER_EXTENDED_AT] != '\0';
        return take_parts(sparse, bytes + HEADER_PARTS_AT, HEADER_PARTS);
}

bool sparse_wants_block(const struct sparse *sparse)
{
        return sparse->is_extended;
}

const char *sparse_take_block(struct sparse *sparse, const char block[static TAR_BLOCK])
{
        sparse->is_extended = block[BLOCK_EXTENDED_AT] != '\0';
        return take_parts(sparse, block, BLOCK_PARTS);
}

/* ---- the check ---- */

const char *sparse_check(const struct sparse *sparse, long long stored, long long *ret_whole)
{
        long long end = 0, sum = 0;

        if (!sparse->has_whole || sparse_wants_map(sparse) || sparse->n_numbers % 2 != 0 ||
            (sparse->major == 1 && sparse->minor != 0))
                return MALFORMED;
        for (size_t i = 0; i < sparse->n_parts; i++) {
                const struct sparse_part *part = &sparse->parts[i];

                if (part->offset < end || part->length > sparse->whole - part->offset)
                        return MALFORMED;
                end = part->offset + part->length;
                sum += part->length;
        }
        if (sum != stored)
                return MALFORMED;
        *ret_whole = sparse->whole;
        return NULL;
}
