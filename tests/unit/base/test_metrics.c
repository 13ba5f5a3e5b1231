/* The text of the exposition format, and its bounds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics.h"

enum { ENSURES, CARRELS, STEPS, THREE };

static const struct metric_family FAMILIES[] = {
        [ENSURES] = { "carrel_ensures_total", "Ensures by outcome.", METRIC_COUNTER, { "outcome" } },
        [CARRELS] = { "carrel_carrels", "Carrels at this moment.", METRIC_GAUGE, { NULL } },
        [STEPS] = { "carrel_step_duration_seconds", "How long steps take.", METRIC_HISTOGRAM, { "flow", "step" } },
        [THREE] = { "carrel_three", "Three labels.", METRIC_GAUGE, { "a", "b", "c" } },
        { 0 },
};

static struct metrics *make(void)
{
        struct metrics *metrics = NULL;

        assert_int_equal(metrics_new(&metrics, FAMILIES), 0);
        return metrics;
}

/* Renders and frees; the caller frees the text. */
static char *render_and_free(struct metrics *metrics)
{
        struct buffer text = { 0 };

        metrics_render(metrics, &text);
        assert_null(metrics_free(metrics));
        assert_false(text.has_failed);
        return buffer_take(&text);
}

static size_t count_of(const char *text, const char *part)
{
        size_t count = 0;

        for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part))
                count++;
        return count;
}

static void assert_holds(const char *text, const char *part)
{
        if (count_of(text, part) != 1)
                fail_msg("%zu times instead of once: %s\nin:\n%s", count_of(text, part), part, text);
}

static void test_families_without_series(void **state)
{
        char *text = render_and_free(make());

        assert_string_equal(text, "# HELP carrel_ensures_total Ensures by outcome.\n"
                                  "# TYPE carrel_ensures_total counter\n"
                                  "# HELP carrel_carrels Carrels at this moment.\n"
                                  "# TYPE carrel_carrels gauge\n"
                                  "# HELP carrel_step_duration_seconds How long steps take.\n"
                                  "# TYPE carrel_step_duration_seconds histogram\n"
                                  "# HELP carrel_three Three labels.\n"
                                  "# TYPE carrel_three gauge\n");
        free(text);
}

static void test_counter_and_gauge(void **state)
{
        struct metrics *metrics = make();
        char *text;

        metrics_add(metrics, ENSURES, 1, "created", NULL, NULL);
        metrics_add(metrics, ENSURES, 2, "created", NULL, NULL);
        metrics_add(metrics, ENSURES, -1, "created", NULL, NULL); /* a counter never falls */
        metrics_add(metrics, ENSURES, NAN, "created", NULL, NULL);
        metrics_add(metrics, ENSURES, 1, "reused", "ignored", "ignored");
        metrics_set(metrics, CARRELS, 5, NULL, NULL, NULL);
        metrics_add(metrics, CARRELS, -1.5, NULL, NULL, NULL);
        text = render_and_free(metrics);
        assert_holds(text, "\ncarrel_ensures_total{outcome=\"created\"} 3\n");
        assert_holds(text, "\ncarrel_ensures_total{outcome=\"reused\"} 1\n");
        assert_holds(text, "\ncarrel_carrels 3.5\n");
        free(text);
}

static void test_histogram(void **state)
{
        struct metrics *metrics = make();
        char *text;

        metrics_observe(metrics, STEPS, 0.0001, "ensure", "create", NULL); /* a bound belongs to its bucket */
        metrics_observe(metrics, STEPS, 0.75, "ensure", "create", NULL);
        metrics_observe(metrics, STEPS, 0.75, "ensure", "create", NULL);
        metrics_observe(metrics, STEPS, 100, "ensure", "create", NULL);
        metrics_observe(metrics, STEPS, NAN, "ensure", "create", NULL);
        metrics_observe(metrics, STEPS, INFINITY, "ensure", "create", NULL);
        metrics_observe(metrics, CARRELS, 1, NULL, NULL, NULL); /* no histogram */
        metrics_add(metrics, STEPS, 1, "ensure", "create", NULL);
        metrics_set(metrics, STEPS, 1, "ensure", "create", NULL);
        text = render_and_free(metrics);
        assert_holds(text, "_bucket{flow=\"ensure\",step=\"create\",le=\"0.0001\"} 1\n");
        assert_holds(text, "_bucket{flow=\"ensure\",step=\"create\",le=\"0.5\"} 1\n");
        assert_holds(text, "_bucket{flow=\"ensure\",step=\"create\",le=\"1\"} 3\n");
        assert_holds(text, "_bucket{flow=\"ensure\",step=\"create\",le=\"30\"} 3\n");
        assert_holds(text, "_bucket{flow=\"ensure\",step=\"create\",le=\"+Inf\"} 4\n");
        assert_holds(text, "_sum{flow=\"ensure\",step=\"create\"} 101.5001\n");
        assert_holds(text, "_count{flow=\"ensure\",step=\"create\"} 4\n");
        assert_int_equal(count_of(text, "_bucket{"), 18);
        assert_null(strstr(text, "\ncarrel_carrels "));
        free(text);
}

static void test_label_values(void **state)
{
        struct metrics *metrics = make();
        char longer[400];
        char *text;

        memset(longer, 'x', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        metrics_set(metrics, THREE, 1, "quote\" back\\ line\n", "caf\xc3\xa9", "\xff.");
        metrics_set(metrics, THREE, 2, "ab", "c", "");
        metrics_set(metrics, THREE, 3, "a", "bc", ""); /* the same bytes, split otherwise: another series */
        metrics_set(metrics, THREE, 4, longer, NULL, NULL);
        text = render_and_free(metrics);
        assert_holds(text, "{a=\"quote\\\" back\\\\ line\\n\",b=\"caf\xc3\xa9\",c=\"?.\"} 1\n");
        assert_holds(text, "{a=\"ab\",b=\"c\",c=\"\"} 2\n");
        assert_holds(text, "{a=\"a\",b=\"bc\",c=\"\"} 3\n");
        longer[127] = '\0';
        assert_holds(text, longer);
        assert_null(strstr(text, "xxx\",b=\"x"));
        free(text);
}

static void test_series_are_bounded(void **state)
{
        struct metrics *metrics = make();
        char *text;

        for (unsigned i = 0; i < 3000; i++) {
                char name[16];

                (void)snprintf(name, sizeof name, "%u", i);
                metrics_add(metrics, ENSURES, 1, name, NULL, NULL);
        }
        metrics_add(metrics, ENSURES, 1, "0", NULL, NULL);  /* one that is there still counts */
        metrics_set(metrics, CARRELS, 7, NULL, NULL, NULL); /* and other families are not touched */
        text = render_and_free(metrics);
        assert_int_equal(count_of(text, "carrel_ensures_total{"), 1000);
        assert_holds(text, "carrel_ensures_total{outcome=\"0\"} 2\n");
        assert_holds(text, "\ncarrel_carrels 7\n");
        free(text);
}

static void test_nothing_to_hold_on_to(void **state)
{
        struct metrics *metrics = make();
        struct buffer text = { 0 };

        metrics_add(NULL, ENSURES, 1, "a", NULL, NULL);
        metrics_set(NULL, CARRELS, 1, NULL, NULL, NULL);
        metrics_observe(NULL, STEPS, 1, "a", "b", NULL);
        metrics_render(NULL, &text);
        assert_null(text.data);
        metrics_add(metrics, 99, 1, "a", NULL, NULL); /* no such family */
        metrics_set(metrics, 99, 1, "a", NULL, NULL);
        metrics_observe(metrics, 99, 1, "a", NULL, NULL);
        assert_null(metrics_free(metrics));
        assert_null(metrics_free(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_families_without_series),
                cmocka_unit_test(test_counter_and_gauge),
                cmocka_unit_test(test_histogram),
                cmocka_unit_test(test_label_values),
                cmocka_unit_test(test_series_are_bounded),
                cmocka_unit_test(test_nothing_to_hold_on_to),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
