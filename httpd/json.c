#include "json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

struct scan {
        const char *at, *end;
        unsigned depth;
        unsigned values; /* an upper bound of the tree's nodes: each but the first follows a bracket, colon or comma */
};

static bool is_digit(const struct scan *scan)
{
        return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static bool skip(struct scan *scan, char letter)
{
        bool is_there = scan->at < scan->end && *scan->at == letter;

        scan->at += is_there;
        return is_there;
}

/* At least one. */
static bool skip_digits(struct scan *scan)
{
        const char *from = scan->at;

        while (is_digit(scan))
                scan->at++;
        return scan->at > from;
}

/* RFC 8259, section 6. */
static const char *scan_number(struct scan *scan)
{
        static const char WRONG[] = "a malformed number";

        (void)skip(scan, '-');
        if (!skip(scan, '0') && !skip_digits(scan))
                return WRONG;
        if (skip(scan, '.') && !skip_digits(scan))
                return WRONG;
        if (skip(scan, 'e') || skip(scan, 'E')) {
                if (!skip(scan, '+'))
                        (void)skip(scan, '-');
                if (!skip_digits(scan))
                        return WRONG;
        }
        return is_digit(scan) ? WRONG : NULL;
}

static const char *scan_string(struct scan *scan)
{
        while (!skip(scan, '"')) {
                size_t left = (size_t)(scan->end - scan->at);
                int step = left == 0 ? 0 : utf8_step(scan->at, left);

                if (left == 0)
                        return "an unterminated string";
                if (step <= 0)
                        return "bytes that are not UTF-8";
                if ((unsigned char)*scan->at < 0x20)
                        return "a control character in a string";
                if (left >= 6 && memcmp(scan->at, "\\u0000", 6) == 0)
                        return "a NUL character in a string";
                /* An escaped character does not end the string. cJSON checks whether the escape is a valid one. */
                if (*scan->at == '\\' && left >= 2 && (unsigned char)scan->at[1] >= 0x20 &&
                    (unsigned char)scan->at[1] < 0x80)
                        step = 2;
                scan->at += step;
        }
        return NULL;
}

static const char *scan_mark(struct scan *scan)
{
        char mark = *scan->at++;

        if (mark == '{' || mark == '[') {
                scan->depth++;
                scan->values++;
        } else if (mark == '}' || mark == ']') {
                scan->depth -= scan->depth > 0;
        } else if (mark == ',' || mark == ':') {
                scan->values++;
        } else if ((mark < 'a' || mark > 'z') && strchr(" \t\r\n", mark) == NULL) {
                return "a character that is not JSON";
        }
        if (scan->depth > JSON_DEPTH_MAX)
                return "too many levels";
        return scan->values > JSON_VALUES_MAX ? "too many values" : NULL;
}

/* NULL, or a description of what is wrong with the text. */
static const char *scan_text(struct scan *scan)
{
        const char *wrong = NULL;

        while (wrong == NULL && scan->at < scan->end) {
                if (*scan->at == '"') {
                        scan->at++;
                        wrong = scan_string(scan);
                } else if (*scan->at == '-' || is_digit(scan)) {
                        wrong = scan_number(scan);
                } else if (*scan->at == '\0') {
                        wrong = "a NUL byte";
                } else {
                        wrong = scan_mark(scan);
                }
        }
        return wrong;
}

cJSON *json_parse(const char *text, size_t length, struct fault *why)
{
        struct scan scan = { .at = text, .end = text + length };
        const char *wrong = scan_text(&scan);
        const char *end = text;
        cJSON *tree;

        if (wrong != NULL) {
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG,
                                "the body is not acceptable JSON: %s near byte %td", wrong, scan.at - text);
                return NULL;
        }
        tree = cJSON_ParseWithLengthOpts(text, length, &end, false);
        /* cJSON can require the text's end only if a NUL follows the text. */
        while (tree != NULL && end < text + length && strchr(" \t\r\n", *end) != NULL)
                end++;
        if (tree == NULL || end != text + length) {
                cJSON_Delete(tree);
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG, "the body is malformed JSON near byte %td",
                                end - text);
                return NULL;
        }
        return tree;
}

/* ---- its digest ---- */

static void digest_bytes(struct sha256_ctx *sha, const void *bytes, uint64_t length)
{
        sha256_update(sha, sizeof length, (const uint8_t *)&length);
        sha256_update(sha, length, bytes);
}

static void digest_text(struct sha256_ctx *sha, const char *text)
{
        digest_bytes(sha, text, strlen(text));
}

/* A type of its own, so that qsort(3) moves these pointers and not the nodes. */
struct member {
        const cJSON *node;
};

static int compare_names(const void *a, const void *b)
{
        const struct member *one = a;
        const struct member *other = b;

        return strcmp(one->node->string, other->node->string);
}

static int digest_node(struct sha256_ctx *sha, const cJSON *node);

static int digest_members(struct sha256_ctx *sha, const cJSON *node)
{
        size_t n = 0;
        struct member *members = calloc((size_t)cJSON_GetArraySize(node) + 1, sizeof *members);
        int r = 0;

        if (members == NULL)
                return -ENOMEM;
        for (const cJSON *child = node->child; child != NULL; child = child->next)
                members[n++].node = child;
        if (cJSON_IsObject(node))
                qsort(members, n, sizeof *members, compare_names);
        sha256_update(sha, sizeof n, (const uint8_t *)&n);
        for (const struct member *at = members; at < members + n && r == 0; at++) {
                if (cJSON_IsObject(node))
                        digest_text(sha, at->node->string);
                r = digest_node(sha, at->node);
        }
        free(members);
        return r;
}

/* Each value is preceded by its type and, if it can vary, its length, so no two trees give the same bytes. */
static int digest_node(struct sha256_ctx *sha, const cJSON *node)
{
        const uint8_t type = (uint8_t)(node->type & 0xFF);
        double number = node->valuedouble + 0.0; /* -0 is 0 */

        sha256_update(sha, 1, &type);
        if (cJSON_IsString(node))
                digest_text(sha, node->valuestring);
        else if (cJSON_IsNumber(node))
                digest_bytes(sha, &number, sizeof number);
        else if (cJSON_IsArray(node) || cJSON_IsObject(node))
                return digest_members(sha, node);
        return 0;
}

int json_digest(const cJSON *tree, unsigned char ret_digest[JSON_DIGEST_BYTES])
{
        struct sha256_ctx sha;
        int r;

        sha256_init(&sha);
        r = digest_node(&sha, tree);
        if (r == 0)
                sha256_digest(&sha, JSON_DIGEST_BYTES, ret_digest);
        return r;
}
