/* Durations or sizes of one operation, and their output as a table and as JSON. */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct samples {
        double *values;
        size_t count, capacity;
        double cpu_ms; /* of carreld, for all runs together; 0: not counted */
};

/* Room for capacity values; 0 or -ENOMEM. */
int samples_open(struct samples *ret_samples, size_t capacity);
void samples_close(struct samples *samples);
/* A value beyond the capacity is dropped. */
void samples_add(struct samples *samples, double value);
/* Nearest rank, percent in (0, 100]; 0 without values. Sorts. */
double samples_percentile(struct samples *samples, double percent);

struct row {
        const char *operation;
        const char *unit;     /* of the samples; NULL: ms */
        const char *baseline; /* the command of the baseline; NULL: no baseline */
        struct samples ours, theirs;
        double bytes;                    /* moved in each; 0: the rate is not shown */
        double ours_per_s, theirs_per_s; /* operations a second of many at once; 0: not shown */
        int is_neighbour; /* theirs is the same without the disturbance: p99 is compared, and how many times as long */
};

/* One line each: operation, unit, n, p50, p95, p99, baseline p50 (neighbours: p99), ratio, rates, carreld's CPU time
 * for each run. */
void rows_print(FILE *out, struct row *rows, size_t count);
/* The same as a JSON array, with the percentiles SPREAD of both ("spread"). 0 or a negative errno. */
int rows_write_json(const char *path, struct row *rows, size_t count);
