/* Settings as a table: key, type, bounds, default, place. They are read from an INI file (libinih); the environment
 * overrides the file: key "idle_ttl_s" is CARREL_IDLE_TTL_S. An unknown key, an unknown CARREL_* variable, or a value
 * out of range is an error that names file, line and the allowed range.
 *
 * The file has lines "key = value", under [carrel] or under no section, each key once. A comment begins with # or ; at
 * the start of a line, or with " ;" after a value. A line has at most about 198 bytes (libinih's bound). An indented
 * line continues the value above it, joined by one space. A control character in a value is an error.
 *
 * Named sections, such as [profile small], have tables of their own: one for each kind of section. Each section is
 * there once. They come from the file only: no CARREL_* variable can set what is in them, because a name such as
 * CARREL_PROFILE_A_B_PIDS could be read in more than one way.
 *
 * All functions return 0, or a negative errno with the first failure in *why (FAULT_SETTING_INVALID). With a listener
 * they go on after a failure, as far as the file can be read, and the listener gets every failure. After a failure
 * *values has the settings that could be read, and must still be released. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct buffer;

enum setting_type {
        SETTING_TEXT,    /* char *: malloc'd; min and max bound its length */
        SETTING_NUMBER,  /* uint64_t */
        SETTING_SIZE,    /* uint64_t bytes, "2g" */
        SETTING_DECIMAL, /* double */
        SETTING_CHOICE,  /* int: index into choices */
        SETTING_LINES    /* char *: as SETTING_TEXT, but the key may be repeated; the values, each ended by "\n" */
};

struct setting {
        const char *key;
        enum setting_type type;
        size_t offset;              /* of the field in the caller's struct */
        const char *fallback;       /* the default, in the file's own syntax; NULL: unset, which is NULL, 0, or -1 for
                                       a choice; then min is above 0 */
        double min, max;            /* numbers: the range; text: the length in bytes, of all lines together */
        const char *const *choices; /* SETTING_CHOICE: NULL-terminated */
        const char *help;           /* a sentence without its full stop: carrel.conf(5) has it */
        /* Returns a static text that says what is wrong with a text, or NULL. May be NULL. */
        const char *(*check)(const char *value);
};

/* Tables are alphabetical by key and end with a NULL key. Keys are lower case, at most 63 bytes. */

/* A kind of named sections: [kind name]. */
struct settings_kind {
        const char *kind;
        const struct setting *table; /* its offsets are those of one item */
        size_t offset;               /* of a struct settings_list in the caller's struct */
        size_t item_bytes;           /* of the struct of one section, which begins with its name, a char * */
        size_t max;                  /* sections of this kind */
};

/* The sections of a kind, in the order of the file. Zeroed: none. */
struct settings_list {
        void *items;
        size_t count;
};

enum { SETTINGS_NAME_BYTES = 33 }; /* of a section's name, with its NUL */

/* Accepts 1 to 32 letters, digits, '.', '_' and '-', of which the first is a letter or a digit, as the name of a
 * section. Returns NULL, or a static text that says what is wrong. */
const char *settings_check_name(const char *name);

/* Accepts "NAME=value" as a variable for programs, but no CARREL_*, which carreld sets. Returns as above. */
const char *settings_check_variable(const char *variable);

/* The section of this name, or NULL. */
const void *settings_find(const struct settings_kind *kind, const void *values, const char *name);

/* In the functions below, kinds ends with a NULL kind; NULL: no named sections. */

/* Fills every field of *values from the defaults. *values must be zeroed. */
int settings_defaults(const struct setting *table, void *values, struct fault *why);

/* Reads the file into *values, over what it has. -ENOENT: there is no file, which may be an error or not. */
int settings_read_file(const struct setting *table, const struct settings_kind *kinds, void *values, const char *path,
                       const struct fault_listener *listener, struct fault *why);

/* Reads CARREL_* from environment (as in environ(7)). Skips the variables in `ignored` (NULL-terminated; names without
 * the prefix, e.g. "SOCKET"); any other unknown CARREL_* name is an error. */
int settings_read_environment(const struct setting *table, void *values, char *const *environment,
                              const char *const *ignored, const struct fault_listener *listener, struct fault *why);

/* Frees the texts and the sections of *values. */
void settings_release(const struct setting *table, const struct settings_kind *kinds, void *values);

/* Whether the setting has a value: only one without a default can have none. */
bool settings_is_set(const struct setting *setting, const void *values);
/* The value as text, in the file's syntax, for --check and `carrel info`; malloc'd, NULL when out of memory. "": unset.
 * SETTING_LINES: its values, each ended by "\n". */
char *settings_format(const struct setting *setting, const void *values);
/* Appends all that is set as the lines of a file. An allocation that fails sets has_failed. */
void settings_write(const struct setting *table, const struct settings_kind *kinds, const void *values,
                    struct buffer *text);
