/* Writing JSON answers. A value is written as text at once, and what is put into it is copied. Every function adds to
 * *object. The first that fails (out of memory) frees *object and sets it to NULL; the following ones do nothing. So
 * one check at the end suffices. Keys are constants that need no escape. With a NULL key *object is an array. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* An object or an array that is being written. */
struct json;

/* NULL: out of memory. */
struct json *json_object(void);
struct json *json_array(void);
/* NULL is fine; returns NULL. */
struct json *json_free(struct json *json);
/* The text, malloc'd, and frees json. NULL: json is NULL, or out of memory. */
char *json_take(struct json *json);

/* NULL becomes null. Bytes that are not UTF-8 become '?'. */
void put_text(struct json **object, const char *key, const char *value);
/* The same for bytes without a NUL inside or after them. bytes may be NULL when length is 0. */
void put_bytes(struct json **object, const char *key, const char *bytes, size_t length);
/* bytes in base64 (RFC 4648). */
void put_base64(struct json **object, const char *key, const void *bytes, size_t length);
void put_number(struct json **object, const char *key, double value);
void put_bool(struct json **object, const char *key, bool value);
/* Seconds with at most three decimal places, from milliseconds. */
void put_seconds(struct json **object, const char *key, double value_ms);
/* Takes child; a NULL child is an error. */
void put_child(struct json **object, const char *key, struct json *child);
/* value is JSON already. */
void put_json(struct json **object, const char *key, const char *value);
