/* A text table: cells are cleaned (text.h), columns are as wide as their widest cell, and on a terminal the widest
 * columns are cut with an ellipsis until a row fits: never those that hold what is typed again, so that a row of long
 * ids may be wider. */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct table;

enum { TABLE_COLUMNS_MAX = 16 };

/* headers: n_columns texts, or NULL for a table without a header. Copied. Returns 0, -EINVAL (n_columns outside
 * 1..TABLE_COLUMNS_MAX) or -ENOMEM. */
__attribute__((warn_unused_result)) int table_new(struct table **ret_table, const char *const *headers,
                                                  size_t n_columns);
struct table *table_free(struct table *table);

/* cells: as many as there are columns; NULL is "". Copied. */
__attribute__((warn_unused_result)) int table_add(struct table *table, const char *const *cells);

/* The column is never cut. */
void table_keep_whole(struct table *table, size_t column);

/* width: of the terminal in columns; 0: not a terminal, nothing is cut. */
void table_print(const struct table *table, FILE *out, size_t width);

/* The columns of the terminal fd; 0 if it is not a terminal. */
size_t table_terminal_width(int fd);
