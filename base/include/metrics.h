/* Counters, gauges and histograms, rendered as Prometheus text (exposition format 0.0.4).
 * Families are declared in a table. A series is made when it is first used. */
#pragma once

#include <stddef.h>

#include "str.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_family {
        const char *name; /* with prefix and unit: carrel_step_duration_seconds */
        const char *help; /* one line, without a backslash */
        enum metric_type type;
        const char *labels[3]; /* label names, NULL-terminated when fewer */
};

struct metrics;

/* Borrows the table (ends with a NULL name). Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int metrics_new(struct metrics **ret_metrics, const struct metric_family *table);
struct metrics *metrics_free(struct metrics *metrics);

/* family: index into the table; a, b, c: the values of its labels ("" or NULL where it has fewer), cut after 127
 * bytes. A sample is dropped if its series cannot be allocated or its family has 1,000 series already. So is one that
 * does not fit the type: a counter takes no negative amount, add and set take no histogram, observe takes only
 * histograms. metrics may be NULL. */
void metrics_add(struct metrics *metrics, size_t family, double amount, const char *a, const char *b, const char *c);
void metrics_set(struct metrics *metrics, size_t family, double value, const char *a, const char *b, const char *c);
/* Histogram buckets, in seconds: 0.0001 to 10 in steps of 1, 2.5 and 5, and 30. */
void metrics_observe(struct metrics *metrics, size_t family, double seconds, const char *a, const char *b,
                     const char *c);

/* Appends the text of all families; check ret_text->has_failed. */
void metrics_render(const struct metrics *metrics, struct buffer *ret_text);
