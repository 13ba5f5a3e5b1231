#include "samples.h"

#include <cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

int samples_open(struct samples *ret_samples, size_t capacity)
{
        double *values = calloc(capacity, sizeof *values);

        if (values == NULL)
                return -ENOMEM;
        *ret_samples = (struct samples){ .values = values, .capacity = capacity };
        return 0;
}

void samples_close(struct samples *samples)
{
        free(samples->values);
        *samples = (struct samples){ 0 };
}

void samples_add(struct samples *samples, double value)
{
        if (samples->count < samples->capacity)
                samples->values[samples->count++] = value;
}

static int compare(const void *a, const void *b)
{
        double left = *(const double *)a, right = *(const double *)b;

        return (left > right) - (left < right);
}

double samples_percentile(struct samples *samples, double percent)
{
        size_t rank;

        if (samples->count == 0)
                return 0.0;
        qsort(samples->values, samples->count, sizeof *samples->values, compare);
        rank = (size_t)ceil(percent / 100.0 * (double)samples->count);
        return samples->values[rank > 0 ? rank - 1 : 0];
}

/* The percentile at which a row is compared. */
static double compared_percent(const struct row *row)
{
        return row->is_neighbour ? 99.0 : 50.0;
}

/* How many times as fast as the baseline; of a neighbour, how many times as slow. 0: not known. */
static double ratio_of(struct row *row)
{
        double ours = samples_percentile(&row->ours, compared_percent(row));
        double theirs = samples_percentile(&row->theirs, compared_percent(row));

        if (ours <= 0 || theirs <= 0)
                return 0.0;
        return row->is_neighbour ? ours / theirs : theirs / ours;
}

static double rate_gb_s(const struct row *row, double ms)
{
        return ms > 0 ? row->bytes / ms / 1e6 : 0.0;
}

static const char *unit_of(const struct row *row)
{
        return row->unit != NULL ? row->unit : "ms";
}

/* Not of a neighbour, because carreld also works for the one that disturbs. */
static double cpu_of_run(const struct row *row)
{
        return row->ours.count > 0 && !row->is_neighbour ? row->ours.cpu_ms / (double)row->ours.count : 0.0;
}

static void print_row(FILE *out, struct row *row)
{
        double p50 = samples_percentile(&row->ours, 50.0);
        double ratio = ratio_of(row);

        fprintf(out, "%-36s %-4s %7zu %9.3f %9.3f %9.3f", row->operation, unit_of(row), row->ours.count, p50,
                samples_percentile(&row->ours, 95.0), samples_percentile(&row->ours, 99.0));
        if (ratio > 0)
                fprintf(out, "   %-22s %9.3f %7.1fx", row->baseline,
                        samples_percentile(&row->theirs, compared_percent(row)), ratio);
        else
                fprintf(out, "   %-22s %9s %8s", "-", "-", "-");
        if (row->bytes > 0)
                fprintf(out, "   %.2f GB/s", rate_gb_s(row, p50));
        if (row->theirs_per_s > 0)
                fprintf(out, "   %6.0f/s of %6.0f/s: %.2f", row->ours_per_s, row->theirs_per_s,
                        row->ours_per_s / row->theirs_per_s);
        if (cpu_of_run(row) > 0)
                fprintf(out, "   carreld: %.3f ms CPU", cpu_of_run(row));
        fputc('\n', out);
}

void rows_print(FILE *out, struct row *rows, size_t count)
{
        fprintf(out, "%-36s %-4s %7s %9s %9s %9s   %-22s %9s %8s\n", "operation", "unit", "n", "p50", "p95", "p99",
                "baseline", "p50", "ratio");
        for (size_t i = 0; i < count; i++)
                print_row(out, &rows[i]);
}

/* 0: the least. */
static const double SPREAD[] = { 0, 5, 25, 50, 75, 95, 99, 100 };

static bool add_spread(cJSON *item, const char *key, struct samples *samples)
{
        cJSON *array = cJSON_AddArrayToObject(item, key);

        for (size_t i = 0; array != NULL && i < sizeof SPREAD / sizeof *SPREAD; i++)
                if (!cJSON_AddItemToArray(array, cJSON_CreateNumber(samples_percentile(samples, SPREAD[i]))))
                        return false;
        return array != NULL;
}

static bool add_baseline(cJSON *item, struct row *row)
{
        return cJSON_AddStringToObject(item, "baseline", row->baseline) &&
               cJSON_AddNumberToObject(item, "baseline_n", (double)row->theirs.count) &&
               cJSON_AddNumberToObject(item, "baseline_p50", samples_percentile(&row->theirs, 50.0)) &&
               cJSON_AddNumberToObject(item, "baseline_p99", samples_percentile(&row->theirs, 99.0)) &&
               cJSON_AddNumberToObject(item, "compared_percentile", compared_percent(row)) &&
               cJSON_AddNumberToObject(item, "ratio", ratio_of(row)) &&
               add_spread(item, "baseline_spread", &row->theirs);
}

static int add_row(cJSON *array, struct row *row)
{
        cJSON *item = cJSON_CreateObject();

        if (item == NULL || !cJSON_AddItemToArray(array, item)) {
                cJSON_Delete(item);
                return -ENOMEM;
        }
        if (!cJSON_AddStringToObject(item, "operation", row->operation) ||
            !cJSON_AddStringToObject(item, "unit", unit_of(row)) ||
            !cJSON_AddNumberToObject(item, "n", (double)row->ours.count) ||
            !cJSON_AddNumberToObject(item, "p50", samples_percentile(&row->ours, 50.0)) ||
            !cJSON_AddNumberToObject(item, "p95", samples_percentile(&row->ours, 95.0)) ||
            !cJSON_AddNumberToObject(item, "p99", samples_percentile(&row->ours, 99.0)) ||
            !add_spread(item, "spread", &row->ours))
                return -ENOMEM;
        if (row->bytes > 0 &&
            !cJSON_AddNumberToObject(item, "gb_per_s", rate_gb_s(row, samples_percentile(&row->ours, 50.0))))
                return -ENOMEM;
        if (row->theirs_per_s > 0 && (!cJSON_AddNumberToObject(item, "per_s", row->ours_per_s) ||
                                      !cJSON_AddNumberToObject(item, "baseline_per_s", row->theirs_per_s)))
                return -ENOMEM;
        if (cpu_of_run(row) > 0 && !cJSON_AddNumberToObject(item, "carreld_cpu_ms", cpu_of_run(row)))
                return -ENOMEM;
        if (row->theirs.count == 0)
                return 0;
        return add_baseline(item, row) ? 0 : -ENOMEM;
}

static int write_text(const char *path, const char *text)
{
        FILE *file = fopen(path, "we");
        int r = 0;

        if (file == NULL)
                return -errno;
        if (fprintf(file, "%s\n", text) < 0)
                r = -EIO;
        if (fclose(file) != 0 && r == 0)
                r = -errno;
        return r;
}

int rows_write_json(const char *path, struct row *rows, size_t count)
{
        cJSON *array = cJSON_CreateArray();
        char *text = NULL;
        int r = array == NULL ? -ENOMEM : 0;

        for (size_t i = 0; i < count && r == 0; i++)
                r = add_row(array, &rows[i]);
        if (r == 0)
                text = cJSON_Print(array);
        if (r == 0)
                r = text != NULL ? write_text(path, text) : -ENOMEM;
        cJSON_free(text);
        cJSON_Delete(array);
        return r;
}
