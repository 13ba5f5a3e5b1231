/* Building JSON answers. Every function adds to *object. The first that fails (out of memory) deletes *object and sets
 * it to NULL; the following ones do nothing. So one check at the end suffices. Keys are constants and are not copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

/* Borrows value until the tree has been printed; NULL becomes null. Bytes that are not UTF-8 become '?' in a copy. */
void put_text(struct cJSON **object, const char *key, const char *value);
void put_number(struct cJSON **object, const char *key, double value);
void put_bool(struct cJSON **object, const char *key, bool value);
/* Seconds with at most three decimal places, from milliseconds. */
void put_seconds(struct cJSON **object, const char *key, double value_ms);
/* Takes child; a NULL child is an error. With a NULL key *object is an array. */
void put_child(struct cJSON **object, const char *key, struct cJSON *child);
/* Adds a copy of item that owns its strings to *array, and frees item. For strings that are valid in one callback
 * only. */
void put_copy(struct cJSON **array, struct cJSON *item);
