#include "prelude.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

struct values {
        bool is_all;
        const char *name, *color;
        struct option_list list;
        struct option_number number, decimal, size;
};

static const char *const COLORS[] = { "green", "red", NULL };

#define AT(field) offsetof(struct values, field)

static const struct option_spec TABLE[] = {
        { 'a', "all", OPTION_FLAG, AT(is_all), .help = "" },
        { 'c', "color", OPTION_CHOICE, AT(color), .choices = COLORS, .argument = "COLOR", .help = "" },
        { 0, "decimal", OPTION_DECIMAL, AT(decimal), 0.5, 2.5, .argument = "D", .help = "" },
        { 'l', "list", OPTION_LIST, AT(list), .argument = "TEXT", .help = "" },
        { 0, "name", OPTION_TEXT, AT(name), .argument = "NAME", .help = "" },
        { 'n', "number", OPTION_NUMBER, AT(number), 1, 9, .argument = "N", .help = "" },
        { 's', "size", OPTION_SIZE, AT(size), 1024, 1048576, .argument = "SIZE", .help = "" },
        { .name = NULL },
};

/* Splits a line at spaces and parses it. */
static int parse(const char *line, enum operand_order order, struct values *values, int *ret_operands,
                 struct fault *why)
{
        static char words[256];
        char *argv[40] = { words };
        const struct option_group group = { TABLE, values };
        int argc = 0;
        int first = -1;

        (void)snprintf(words, sizeof words, "%s", line);
        for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
                argv[argc++] = word;
        int r = options_parse(&group, 1, argc, argv, order, &first, why);
        *ret_operands = argc - first;
        return r;
}

static void options_fill_values(void **state)
{
        struct values values = { 0 };
        struct fault why;
        int operands;

        assert_int_equal(parse("verb -a one --color red --decimal 1.5 -l x -lyz --name=n two -n 9 -s 2k -- -a --no",
                               OPERANDS_MIXED, &values, &operands, &why),
                         0);
        assert_true(values.is_all);
        assert_string_equal(values.color, "red");
        assert_string_equal(values.name, "n");
        assert_int_equal(values.list.count, 2);
        assert_string_equal(values.list.values[1], "yz");
        assert_true(values.number.is_given && values.number.value == 9);
        assert_true(values.decimal.is_given && values.decimal.value == 1.5);
        assert_true(values.size.is_given && values.size.value == 2048);
        assert_int_equal(operands, 4);
}

static void nothing_given_changes_nothing(void **state)
{
        struct values values = { 0 };
        const struct values untouched = { 0 };
        struct fault why;
        int operands;

        assert_int_equal(parse("verb", OPERANDS_MIXED, &values, &operands, &why), 0);
        assert_memory_equal(&values, &untouched, sizeof values);
        assert_int_equal(operands, 0);
}

static void the_verb_can_end_the_options(void **state)
{
        struct values values = { 0 };
        struct fault why;
        int operands;

        assert_int_equal(parse("carrel -a verb --unknown", OPERANDS_END, &values, &operands, &why), 0);
        assert_true(values.is_all);
        assert_int_equal(operands, 2);
}

static void wrong_options_are_named(void **state)
{
        static const struct {
                const char *line, *named;
        } CASES[] = {
                { "v -z", "-z" },
                { "v --unknown", "--unknown" },
                { "v --name", "--name needs NAME" },
                { "v -n", "--number needs N" },
                { "v --all=yes", "--all takes no value" },
                { "v -n 0", "--number wants a number from 1 to 9, not \"0\"" },
                { "v -n 10", "from 1 to 9" },
                { "v -n 1x", "\"1x\"" },
                { "v -n -1", "\"-1\"" },
                { "v --decimal 2.6", "from 0.5 to 2.5" },
                { "v -s 1", "--size wants a size (512m, 2g) from 1k to 1m, not \"1\"" },
                { "v -s 2m", "from 1k to 1m" },
                { "v -c blue", "green, red" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct values values = { 0 };
                struct fault why = { 0 };
                int operands;

                assert_int_equal(parse(CASES[i].line, OPERANDS_MIXED, &values, &operands, &why), -EINVAL);
                assert_int_equal(why.kind, FAULT_REQUEST_INVALID);
                assert_non_null(strstr(why.message, CASES[i].named));
        }
}

static void lists_are_bounded(void **state)
{
        char option[] = "-l";
        char value[] = "x";
        char verb[] = "v";
        char *argv[2 * OPTION_LIST_MAX + 4] = { verb };
        struct values values = { 0 };
        const struct option_group group = { TABLE, &values };
        struct fault why;
        int first;

        for (int i = 0; i <= OPTION_LIST_MAX; i++) {
                argv[2 * i + 1] = option;
                argv[2 * i + 2] = value;
        }
        assert_int_equal(options_parse(&group, 1, 2 * OPTION_LIST_MAX + 1, argv, OPERANDS_MIXED, &first, &why), 0);
        values.list.count = 0;
        assert_int_equal(options_parse(&group, 1, 2 * OPTION_LIST_MAX + 3, argv, OPERANDS_MIXED, &first, &why),
                         -EINVAL);
        assert_non_null(strstr(why.message, "128 times"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(options_fill_values),
                cmocka_unit_test(nothing_given_changes_nothing),
                cmocka_unit_test(the_verb_can_end_the_options),
                cmocka_unit_test(wrong_options_are_named),
                cmocka_unit_test(lists_are_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
