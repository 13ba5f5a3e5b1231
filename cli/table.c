#include "table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "text.h"

enum { GAP = 2, LEAST_COLUMNS = 8 };

static const char ELLIPSIS[] = "\xE2\x80\xA6";

struct table {
        bool has_header;
        bool is_whole[TABLE_COLUMNS_MAX];
        size_t n_columns;
        char **cells; /* row by row, the header first */
        size_t n_rows;
        size_t capacity; /* in rows */
};

static int add_row(struct table *table, const char *const *cells)
{
        if (table->n_rows == table->capacity) {
                size_t capacity = table->capacity > 0 ? 2 * table->capacity : 16;
                char **grown = reallocarray(table->cells, capacity * table->n_columns, sizeof *grown);

                if (grown == NULL)
                        return -ENOMEM;
                table->cells = grown;
                table->capacity = capacity;
        }
        char **row = table->cells + table->n_rows * table->n_columns;
        for (size_t i = 0; i < table->n_columns; i++) {
                struct buffer clean = { 0 };

                if (text_clean(&clean, cells[i] != NULL ? cells[i] : "") < 0) {
                        buffer_free(&clean);
                        while (i-- > 0)
                                free(row[i]);
                        return -ENOMEM;
                }
                row[i] = clean.data;
        }
        table->n_rows++;
        return 0;
}

int table_new(struct table **ret_table, const char *const *headers, size_t n_columns)
{
        struct table *table;

        if (n_columns == 0 || n_columns > TABLE_COLUMNS_MAX)
                return -EINVAL;
        table = calloc(1, sizeof *table);
        if (table == NULL)
                return -ENOMEM;
        table->n_columns = n_columns;
        table->has_header = headers != NULL;
        if (headers != NULL && add_row(table, headers) < 0) {
                table_free(table);
                return -ENOMEM;
        }
        *ret_table = table;
        return 0;
}

struct table *table_free(struct table *table)
{
        if (table == NULL)
                return NULL;
        for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
                free(table->cells[i]);
        free(table->cells);
        free(table);
        return NULL;
}

int table_add(struct table *table, const char *const *cells)
{
        return add_row(table, cells);
}

void table_keep_whole(struct table *table, size_t column)
{
        table->is_whole[column] = true;
}

static void measure(const struct table *table, size_t *widths)
{
        for (size_t i = 0; i < table->n_rows * table->n_columns; i++) {
                size_t columns = text_columns(table->cells[i]);
                size_t *width = &widths[i % table->n_columns];

                if (columns > *width)
                        *width = columns;
        }
}

/* Takes columns from the widest that may be cut until the row fits or all are at their least. */
static void shrink(const struct table *table, size_t *widths, size_t available)
{
        size_t total = GAP * (table->n_columns - 1);

        for (size_t i = 0; i < table->n_columns; i++)
                total += widths[i];
        while (total > available) {
                size_t widest = table->n_columns;

                for (size_t i = 0; i < table->n_columns; i++)
                        if (!table->is_whole[i] && (widest == table->n_columns || widths[i] > widths[widest]))
                                widest = i;
                if (widest == table->n_columns || widths[widest] <= LEAST_COLUMNS)
                        return;
                widths[widest]--;
                total--;
        }
}

static void print_cell(const char *cell, size_t width, bool is_last, FILE *out)
{
        size_t columns = text_columns(cell);

        if (columns > width) {
                size_t length = text_fit(cell, width - 1);

                (void)fprintf(out, "%.*s%s", (int)length, cell, ELLIPSIS);
                columns = columns - text_columns(cell + length) + 1;
        } else {
                (void)fputs(cell, out);
        }
        if (!is_last)
                (void)fprintf(out, "%*s", (int)(width - columns + GAP), "");
}

void table_print(const struct table *table, FILE *out, size_t width)
{
        size_t widths[TABLE_COLUMNS_MAX] = { 0 };

        measure(table, widths);
        if (width > 0)
                shrink(table, widths, width);
        for (size_t row = 0; row < table->n_rows; row++) {
                for (size_t i = 0; i < table->n_columns; i++)
                        print_cell(table->cells[row * table->n_columns + i], widths[i], i + 1 == table->n_columns, out);
                (void)fputc('\n', out);
        }
}

size_t table_terminal_width(int fd)
{
        struct winsize size = { 0 };

        if (isatty(fd) != 1)
                return 0;
        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return 80;
        return size.ws_col;
}
