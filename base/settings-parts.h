/* Shared by the sources of settings.h. */
#pragma once

#include "settings.h"

#define SETTINGS_PREFIX "CARREL_"

enum { LONGEST_NAME_BYTES = 72 }; /* of a key or a variable, with its NUL */

/* The place of a value, for the messages. */
struct place {
        const char *file; /* or "environment", "default" */
        unsigned line;    /* 0: no line */
};

/* The problems so far, and their listener. */
struct problems {
        int first; /* errno of the first failure; 0: no failure */
        const struct fault_listener *listener;
        struct fault *why; /* gets the first failure */
};

/* Reports a failure. 0: reading goes on. */
int settings_refuse(struct problems *problems, int err, const struct place *place, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* written: a key, or the whole name of a variable. */
int settings_refuse_unknown(const struct setting *table, const char *written, bool is_variable,
                            const struct place *place, struct problems *problems);
/* Cuts what was written, and makes it printable. Returns ret_shown. */
const char *settings_show(const char *written, char ret_shown[static LONGEST_NAME_BYTES]);

/* name: the key or the variable, as it was written. */
int settings_set(const struct setting *setting, void *values, const char *value, const char *name,
                 const struct place *place, struct problems *problems);
int settings_set_defaults(const struct setting *table, void *values, struct problems *problems);
const struct setting *settings_find_key(const struct setting *table, const char *key);
/* The variable of a key: CARREL_IDLE_TTL_S of idle_ttl_s. */
void settings_name_variable(const char *key, char ret_name[static LONGEST_NAME_BYTES]);

struct settings_list *settings_list_of(const struct settings_kind *kind, void *values);
const struct settings_list *settings_list_in(const struct settings_kind *kind, const void *values);
void *settings_item_at(const struct settings_kind *kind, const struct settings_list *list, size_t index);
/* The name at the beginning of an item. */
char **settings_name_of(void *item);
