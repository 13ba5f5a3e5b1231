/* Building JSON answers. Every function adds to *object; the first that cannot (out of memory) deletes *object and
 * makes it NULL, and the rest do nothing: check once, at the end. Keys are constants and are not copied. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

/* Borrows value until the tree has been printed; NULL becomes null. Bytes that are not UTF-8 become '?' in a copy. */
void put_text(struct cJSON **object, const char *key, const char *value);
void put_number(struct cJSON **object, const char *key, double value);
void put_bool(struct cJSON **object, const char *key, bool value);
/* Seconds with at most three digits after the point, from milliseconds. */
void put_seconds(struct cJSON **object, const char *key, double value_ms);
/* Takes child; a NULL child is a failure. With a NULL key *object is an array. */
void put_child(struct cJSON **object, const char *key, struct cJSON *child);
/* Adds a copy of item that owns its strings to *array, and frees item; for what a view lends for one callback only. */
void put_copy(struct cJSON **array, struct cJSON *item);
