/* The routes of the API, and the bounds of their bodies. */
#pragma once

#include "route-table.h"

/* Indices of httpd_options.spool_limits. */
enum { SPOOL_FILE, SPOOL_IMAGE, SPOOL_LIMITS };

extern const struct route_table API_ROUTES;
