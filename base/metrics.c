#include "metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without this uthash calls exit(3) when out of memory; with it only the series is lost. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define LONGEST_LABEL_BYTES 128 /* with the NUL; longer values are cut */
#define MOST_SERIES 1000        /* of a family */

enum { LABELS = 3 };

static const double BUCKETS_S[] = { 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                    0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30 };
enum { BUCKETS = sizeof BUCKETS_S / sizeof BUCKETS_S[0] };

struct series {
        UT_hash_handle hh;
        double value;             /* of a histogram: the sum */
        uint64_t counts[BUCKETS]; /* not cumulative; values over the last bound are only in total */
        uint64_t total;
        char labels[]; /* the values of all LABELS labels, each with its NUL: the key */
};

struct metrics {
        const struct metric_family *table;
        size_t families;
        struct series *series[]; /* by family: a hash that keeps the order of insertion */
};

int metrics_new(struct metrics **ret_metrics, const struct metric_family *table)
{
        struct metrics *metrics;
        size_t families = 0;

        while (table[families].name != NULL)
                families++;
        metrics = calloc(1, sizeof *metrics + families * sizeof(struct series *));
        if (metrics == NULL)
                return -ENOMEM;
        metrics->table = table;
        metrics->families = families;
        *ret_metrics = metrics;
        return 0;
}

struct metrics *metrics_free(struct metrics *metrics)
{
        for (size_t family = 0; metrics != NULL && family < metrics->families; family++) {
                struct series *series = metrics->series[family];

                HASH_CLEAR(hh, metrics->series[family]); /* frees the table but not the elements */
                while (series != NULL) {
                        struct series *next = series->hh.next;

                        free(series);
                        series = next;
                }
        }
        free(metrics);
        return NULL;
}

static struct series *add_series(struct metrics *metrics, size_t family, const char *key, size_t length)
{
        struct series *series;

        if (HASH_COUNT(metrics->series[family]) >= MOST_SERIES)
                return NULL;
        series = calloc(1, sizeof *series + length);
        if (series == NULL)
                return NULL;
        memcpy(series->labels, key, length);
        HASH_ADD_KEYPTR(hh, metrics->series[family], series->labels, length, series);
        if (series->hh.tbl == NULL) { /* uthash is out of memory */
                free(series);
                return NULL;
        }
        return series;
}

/* Finds or makes the series with these label values. NULL: it cannot be made, and the sample is dropped. */
static struct series *find_series(struct metrics *metrics, size_t family, const char *const values[LABELS])
{
        char key[LABELS * LONGEST_LABEL_BYTES];
        size_t length = 0;
        struct series *series = NULL;

        if (metrics == NULL || family >= metrics->families)
                return NULL;
        for (size_t i = 0; i < LABELS; i++) {
                const char *value = values[i] != NULL && metrics->table[family].labels[i] != NULL ? values[i] : "";
                size_t value_length = strnlen(value, LONGEST_LABEL_BYTES - 1);

                memcpy(key + length, value, value_length);
                length += value_length;
                key[length++] = '\0';
        }
        HASH_FIND(hh, metrics->series[family], key, length, series);
        return series != NULL ? series : add_series(metrics, family, key, length);
}

static bool is_of_type(const struct metrics *metrics, size_t family, enum metric_type type)
{
        return metrics != NULL && family < metrics->families && metrics->table[family].type == type;
}

void metrics_add(struct metrics *metrics, size_t family, double amount, const char *a, const char *b, const char *c)
{
        bool is_counter = is_of_type(metrics, family, METRIC_COUNTER);
        struct series *series;

        if (!is_counter && !is_of_type(metrics, family, METRIC_GAUGE))
                return;
        if (is_counter && !(amount >= 0)) /* a counter never falls, and NaN would stay forever */
                return;
        series = find_series(metrics, family, (const char *const[LABELS]){ a, b, c });
        if (series != NULL)
                series->value += amount;
}

void metrics_set(struct metrics *metrics, size_t family, double value, const char *a, const char *b, const char *c)
{
        struct series *series;

        if (is_of_type(metrics, family, METRIC_HISTOGRAM))
                return;
        series = find_series(metrics, family, (const char *const[LABELS]){ a, b, c });
        if (series != NULL)
                series->value = value;
}

void metrics_observe(struct metrics *metrics, size_t family, double seconds, const char *a, const char *b,
                     const char *c)
{
        struct series *series;
        size_t bucket = 0;

        if (!is_of_type(metrics, family, METRIC_HISTOGRAM) || !isfinite(seconds))
                return;
        series = find_series(metrics, family, (const char *const[LABELS]){ a, b, c });
        if (series == NULL)
                return;
        while (bucket < BUCKETS && seconds > BUCKETS_S[bucket])
                bucket++;
        if (bucket < BUCKETS)
                series->counts[bucket]++;
        series->total++;
        series->value += seconds;
}

/* The exposition format requires UTF-8 with backslash, quote and newline escaped. */
static void render_escaped(struct buffer *text, const char *value)
{
        while (*value != '\0') {
                uint32_t code;
                size_t length = str_decode_utf8(value, &code);

                if (length == 0)
                        (void)buffer_text(text, "?");
                else if (*value == '\n')
                        (void)buffer_text(text, "\\n");
                else if (*value == '\\' || *value == '"')
                        (void)buffer_format(text, "\\%c", *value);
                else
                        (void)buffer_append(text, value, length);
                value += length > 0 ? length : 1;
        }
}

/* {a="x",b="y",le="0.5"}; le is NULL except for buckets. */
static void render_labels(struct buffer *text, const struct metric_family *family, const struct series *series,
                          const char *le)
{
        const char *value = series->labels;
        const char *separator = "{";

        for (size_t i = 0; i < LABELS && family->labels[i] != NULL; i++) {
                (void)buffer_format(text, "%s%s=\"", separator, family->labels[i]);
                render_escaped(text, value);
                (void)buffer_text(text, "\"");
                value += strlen(value) + 1;
                separator = ",";
        }
        if (le != NULL)
                (void)buffer_format(text, "%sle=\"%s\"", separator, le);
        if (le != NULL || family->labels[0] != NULL)
                (void)buffer_text(text, "}");
}

static void render_value(struct buffer *text, const struct metric_family *family, const struct series *series)
{
        (void)buffer_text(text, family->name);
        render_labels(text, family, series, NULL);
        (void)buffer_format(text, " %.15g\n", series->value);
}

static void render_bucket(struct buffer *text, const struct metric_family *family, const struct series *series,
                          const char *le, uint64_t count)
{
        (void)buffer_format(text, "%s_bucket", family->name);
        render_labels(text, family, series, le);
        (void)buffer_format(text, " %" PRIu64 "\n", count);
}

static void render_histogram(struct buffer *text, const struct metric_family *family, const struct series *series)
{
        uint64_t cumulative = 0;

        for (size_t i = 0; i < BUCKETS; i++) {
                char le[32];

                cumulative += series->counts[i];
                (void)snprintf(le, sizeof le, "%g", BUCKETS_S[i]);
                render_bucket(text, family, series, le, cumulative);
        }
        render_bucket(text, family, series, "+Inf", series->total);
        (void)buffer_format(text, "%s_sum", family->name);
        render_labels(text, family, series, NULL);
        (void)buffer_format(text, " %.15g\n%s_count", series->value, family->name);
        render_labels(text, family, series, NULL);
        (void)buffer_format(text, " %" PRIu64 "\n", series->total);
}

static const struct {
        const char *name;
        void (*render)(struct buffer *text, const struct metric_family *family, const struct series *series);
} TYPES[] = {
        [METRIC_COUNTER] = { "counter", render_value },
        [METRIC_GAUGE] = { "gauge", render_value },
        [METRIC_HISTOGRAM] = { "histogram", render_histogram },
};

void metrics_render(const struct metrics *metrics, struct buffer *ret_text)
{
        for (size_t i = 0; metrics != NULL && i < metrics->families; i++) {
                const struct metric_family *family = &metrics->table[i];

                (void)buffer_format(ret_text, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                                    TYPES[family->type].name);
                for (const struct series *at = metrics->series[i]; at != NULL; at = at->hh.next)
                        TYPES[family->type].render(ret_text, family, at);
        }
}
