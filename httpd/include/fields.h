/* The fields of a JSON object as a table: name and reader. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct cJSON;

struct field {
        const char *name;
        /* target is the caller's struct; name is the field's, for the message. */
        int (*read)(void *target, const struct cJSON *value, const char *name, struct fault *why);
};

/* Reads an object (NULL: an empty one). At most 32 fields; the table ends with a NULL name. */
__attribute__((warn_unused_result)) int fields_read(const struct cJSON *object, const struct field *table, void *target,
                                                    struct fault *why);
/* Parses the text, which is empty or one object, and reads it. *ret_tree owns every string read from it; NULL when the
 * text was empty. On failure there is nothing to free. */
__attribute__((warn_unused_result)) int fields_parse(const char *text, size_t length, const struct field *table,
                                                     void *target, struct cJSON **ret_tree, struct fault *why);

/* One value, checked. Whole numbers up to 2^53, which a double holds exactly. */
__attribute__((warn_unused_result)) int field_whole(const struct cJSON *value, const char *name, uint64_t min,
                                                    uint64_t max, uint64_t *ret_value, struct fault *why);
__attribute__((warn_unused_result)) int field_decimal(const struct cJSON *value, const char *name, double min,
                                                      double max, double *ret_value, struct fault *why);
/* min and max bound the length in bytes; *ret_text belongs to the tree. */
__attribute__((warn_unused_result)) int field_text(const struct cJSON *value, const char *name, size_t min, size_t max,
                                                   const char **ret_text, struct fault *why);
/* The index of the text in choices[0..n). */
__attribute__((warn_unused_result)) int field_choice(const struct cJSON *value, const char *name,
                                                     const char *const *choices, size_t n, size_t *ret_index,
                                                     struct fault *why);
