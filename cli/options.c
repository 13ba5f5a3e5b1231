#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <string.h>

#include "str.h"

/* getopt_long's return value of the option with this index; above every letter. */
enum { LONG_BASE = 256 };

/* The tables of all groups in getopt's own form. */
struct merged {
        struct option longs[OPTIONS_MAX + 1];
        char shorts[3 * OPTIONS_MAX + 3];
        const struct option_spec *specs[OPTIONS_MAX];
        void *values[OPTIONS_MAX];
        size_t count;
};

static int merge_one(struct merged *merged, const struct option_spec *spec, void *values)
{
        size_t index = merged->count;
        bool has_argument = spec->type != OPTION_FLAG;

        if (index == OPTIONS_MAX)
                return -E2BIG;
        merged->longs[index] = (struct option){ .name = spec->name,
                                                .has_arg = has_argument ? required_argument : no_argument,
                                                .val = LONG_BASE + (int)index };
        merged->specs[index] = spec;
        merged->values[index] = values;
        merged->count++;
        if (spec->letter != 0) {
                char *end = merged->shorts + strlen(merged->shorts);

                *end++ = spec->letter;
                if (has_argument)
                        *end++ = ':';
                *end = '\0';
        }
        return 0;
}

static int merge(struct merged *merged, const struct option_group *groups, size_t n_groups, enum operand_order order)
{
        /* The leading ':' makes getopt silent and lets it distinguish a missing argument from an unknown option. */
        if (str_copy(merged->shorts, sizeof merged->shorts, order == OPERANDS_END ? "+:" : ":") < 0)
                return -E2BIG;
        for (size_t i = 0; i < n_groups; i++) {
                const struct option_spec *spec = groups[i].table;

                for (; spec != NULL && spec->name != NULL; spec++) {
                        int r = merge_one(merged, spec, groups[i].values);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static size_t find_option(const struct merged *merged, int found)
{
        if (found >= LONG_BASE)
                return (size_t)(found - LONG_BASE);
        for (size_t i = 0; i < merged->count; i++)
                if (merged->specs[i]->letter == found)
                        return i;
        return merged->count;
}

static int set_number(const struct option_spec *spec, struct option_number *number, const char *text, struct fault *why)
{
        double value = 0;
        uint64_t whole = 0;
        char least[STR_SIZE_BYTES], most[STR_SIZE_BYTES];
        int r;

        if (spec->type == OPTION_DECIMAL) {
                r = str_parse_decimal(text, spec->min, spec->max, &value);
        } else {
                r = spec->type == OPTION_SIZE ? str_parse_size(text, (uint64_t)spec->min, (uint64_t)spec->max, &whole)
                                              : str_parse_u64(text, (uint64_t)spec->min, (uint64_t)spec->max, &whole);
                value = (double)whole;
        }
        if (r < 0 && spec->type == OPTION_SIZE)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "--%s wants a size (512m, 2g) from %s to %s, not \"%s\"", spec->name,
                                 str_size((uint64_t)spec->min, least), str_size((uint64_t)spec->max, most), text);
        if (r < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "--%s wants a number from %.15g to %.15g, not \"%s\"", spec->name, spec->min,
                                 spec->max, text);
        *number = (struct option_number){ .is_given = true, .value = value };
        return 0;
}

static int set_choice(const struct option_spec *spec, const char **field, const char *text, struct fault *why)
{
        struct buffer names = { 0 };

        for (size_t i = 0; spec->choices[i] != NULL; i++) {
                if (str_equal(spec->choices[i], text)) {
                        *field = spec->choices[i];
                        buffer_free(&names);
                        return 0;
                }
                (void)buffer_format(&names, "%s%s", i > 0 ? ", " : "", spec->choices[i]);
        }
        int r = fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "--%s is one of: %s; not \"%s\"", spec->name,
                          names.data != NULL ? names.data : "", text);
        buffer_free(&names);
        return r;
}

static int append_to_list(const struct option_spec *spec, struct option_list *list, const char *text, struct fault *why)
{
        if (list->count == OPTION_LIST_MAX)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "--%s can be given at most %d times", spec->name,
                                 OPTION_LIST_MAX);
        list->values[list->count++] = text;
        return 0;
}

static int set_value(const struct option_spec *spec, void *values, const char *text, struct fault *why)
{
        void *field = (char *)values + spec->offset;

        switch (spec->type) {
        case OPTION_FLAG:
                *(bool *)field = true;
                return 0;
        case OPTION_TEXT:
                *(const char **)field = text;
                return 0;
        case OPTION_LIST:
                return append_to_list(spec, field, text, why);
        case OPTION_CHOICE:
                return set_choice(spec, field, text, why);
        case OPTION_NUMBER:
        case OPTION_DECIMAL:
        case OPTION_SIZE:
                return set_number(spec, field, text, why);
        }
        return fault_set(why, FAULT_INTERNAL, EINVAL, "--%s has no known type", spec->name);
}

/* The long option most similar to the one written; NULL: none. */
static const char *guess(const struct merged *merged, const char *text)
{
        char name[64];
        size_t length = strcspn(text, "=");
        const char *nearest = NULL;
        unsigned least = 3;

        if (!str_has_prefix(text, "--") || length >= sizeof name)
                return NULL;
        (void)snprintf(name, sizeof name, "%.*s", (int)length - 2, text + 2);
        for (size_t i = 0; i < merged->count; i++) {
                unsigned edits = str_distance(name, merged->specs[i]->name);

                if (edits < least && edits < strlen(merged->specs[i]->name)) {
                        least = edits;
                        nearest = merged->specs[i]->name;
                }
        }
        return nearest;
}

/* The option that getopt refused, as the user wrote it. */
static int refuse(const struct merged *merged, int found, char **argv, struct fault *why)
{
        size_t index = optopt != 0 ? find_option(merged, optopt) : merged->count;

        if (found == ':' && index < merged->count)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "--%s needs %s", merged->specs[index]->name,
                                 merged->specs[index]->argument);
        if (index < merged->count)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "--%s takes no value", merged->specs[index]->name);
        if (optopt != 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "unknown option -%c", optopt);
        const char *guessed = guess(merged, argv[optind - 1]);
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "unknown or ambiguous option %s%s%s%s", argv[optind - 1],
                         guessed != NULL ? "; did you mean --" : "", guessed != NULL ? guessed : "",
                         guessed != NULL ? "?" : "");
}

int options_parse(const struct option_group *groups, size_t n_groups, int argc, char **argv, enum operand_order order,
                  int *ret_first, struct fault *why)
{
        struct merged merged = { 0 };
        int found;

        if (merge(&merged, groups, n_groups, order) < 0)
                return fault_set(why, FAULT_INTERNAL, E2BIG, "more than %d options in one table", OPTIONS_MAX);
        optind = 0; /* getopt(3), NOTES: 0 makes glibc start again */
        opterr = 0;
        while ((found = getopt_long(argc, argv, merged.shorts, merged.longs, NULL)) != -1) {
                size_t index = merged.count;

                if (found != '?' && found != ':')
                        index = find_option(&merged, found);
                if (index == merged.count)
                        return refuse(&merged, found, argv, why);
                int r = set_value(merged.specs[index], merged.values[index], optarg, why);
                if (r < 0)
                        return r;
        }
        *ret_first = optind;
        return 0;
}

void options_print(const struct option_spec *table, FILE *out)
{
        for (const struct option_spec *spec = table; spec != NULL && spec->name != NULL; spec++) {
                char names[64];

                (void)snprintf(names, sizeof names, "--%s%s%s", spec->name, spec->argument != NULL ? " " : "",
                               spec->argument != NULL ? spec->argument : "");
                if (spec->letter != 0)
                        (void)fprintf(out, "  -%c, %-24s %s\n", spec->letter, names, spec->help);
                else
                        (void)fprintf(out, "      %-24s %s\n", names, spec->help);
        }
}
