/* Settings as a table: key, type, bounds, default, place. They are read from an INI file (libinih); the environment
 * overrides the file: key "idle_ttl_s" is CARREL_IDLE_TTL_S. An unknown key, an unknown CARREL_* variable, or a value
 * out of range is an error that names file, line and the allowed range.
 *
 * The file has lines "key = value", under [carrel] or under no section, each key once. A comment begins with # or ; at
 * the start of a line, or with " ;" after a value. A line has at most about 198 bytes (libinih's bound). An indented
 * line continues the value above it, joined by one space. A control character in a value is an error.
 *
 * All functions return 0, or a negative errno with the first failure in *why (FAULT_SETTING_INVALID). With a listener
 * they go on after a failure, as far as the file can be read, and the listener gets every failure. After a failure
 * *values has the settings that could be read, and must still be released. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

enum setting_type {
        SETTING_TEXT,    /* char *: malloc'd; min and max bound its length */
        SETTING_NUMBER,  /* uint64_t */
        SETTING_SIZE,    /* uint64_t bytes, "2g" */
        SETTING_DECIMAL, /* double */
        SETTING_CHOICE   /* int: index into choices */
};

struct setting {
        const char *key;
        enum setting_type type;
        size_t offset;              /* of the field in the caller's struct */
        const char *fallback;       /* the default, in the file's own syntax */
        double min, max;            /* numbers: the range; text: the length in bytes */
        const char *const *choices; /* SETTING_CHOICE: NULL-terminated */
        const char *help;           /* a sentence without its full stop: carrel.conf(5) has it */
        /* Returns a static text that says what is wrong with a text, or NULL. May be NULL. */
        const char *(*check)(const char *value);
};

/* Tables are alphabetical by key and end with a NULL key. Keys are lower case, at most 63 bytes. */

/* Fills every field of *values from the defaults. *values must be zeroed. */
int settings_defaults(const struct setting *table, void *values, struct fault *why);

/* Reads the file into *values, over what it has. -ENOENT: there is no file, which may be an error or not. */
int settings_read_file(const struct setting *table, void *values, const char *path,
                       const struct fault_listener *listener, struct fault *why);

/* Reads CARREL_* from environment (as in environ(7)). Skips the variables in `ignored` (NULL-terminated; names without
 * the prefix, e.g. "SOCKET"); any other unknown CARREL_* name is an error. */
int settings_read_environment(const struct setting *table, void *values, char *const *environment,
                              const char *const *ignored, const struct fault_listener *listener, struct fault *why);

/* Frees the texts of *values. */
void settings_release(const struct setting *table, void *values);

/* The value as text, in the file's syntax, for --check and `carrel info`; malloc'd, NULL when out of memory. */
char *settings_format(const struct setting *setting, const void *values);
