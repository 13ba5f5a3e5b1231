#include "nft.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"
#include "str.h"

/* The rules have an interface pattern, a counter and a verdict: iptables-nft can list them. */
static const char *const WAYS[] = { "oifname", "iifname" };
enum { WAY_COUNT = sizeof WAYS / sizeof *WAYS };

static void free_context(struct nft_ctx **context)
{
        if (*context != NULL)
                nft_ctx_free(*context);
}

static void free_json(cJSON **json)
{
        cJSON_Delete(*json);
}

/* The rules of the chain as JSON (libnftables-json(5)); NULL if the chain does not exist. */
static cJSON *list_forward(struct nft_ctx *context)
{
        const cJSON *object;
        cJSON *answer;

        nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_JSON);
        if (nft_run_cmd_from_buffer(context, "list chain ip filter FORWARD") != 0)
                return NULL;
        answer = cJSON_Parse(nft_ctx_get_output_buffer(context));
        cJSON_ArrayForEach(object, cJSON_GetObjectItemCaseSensitive(answer, "nftables"))
        {
                const cJSON *chain = cJSON_GetObjectItemCaseSensitive(object, "chain");

                if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(chain, "hook")))
                        return answer;
        }
        cJSON_Delete(answer);
        return NULL;
}

static bool matches_interface(const cJSON *expression, const char *key, const char *pattern)
{
        const cJSON *match = cJSON_GetObjectItemCaseSensitive(expression, "match");
        const cJSON *left = cJSON_GetObjectItemCaseSensitive(match, "left");
        const cJSON *meta = cJSON_GetObjectItemCaseSensitive(left, "meta");

        return str_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(match, "op")), "==") &&
               str_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(meta, "key")), key) &&
               str_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(match, "right")), pattern);
}

static bool is_our_rule(const cJSON *rule, const char *key, const char *pattern)
{
        const cJSON *parts = cJSON_GetObjectItemCaseSensitive(rule, "expr");

        return cJSON_GetArraySize(parts) == 3 && matches_interface(cJSON_GetArrayItem(parts, 0), key, pattern) &&
               cJSON_HasObjectItem(cJSON_GetArrayItem(parts, 1), "counter") &&
               cJSON_HasObjectItem(cJSON_GetArrayItem(parts, 2), "accept");
}

static bool has_rule(const cJSON *answer, const char *key, const char *pattern)
{
        const cJSON *object;

        cJSON_ArrayForEach(object, cJSON_GetObjectItemCaseSensitive(answer, "nftables"))
        {
                if (is_our_rule(cJSON_GetObjectItemCaseSensitive(object, "rule"), key, pattern))
                        return true;
        }
        return false;
}

static int insert_rule(struct nft_ctx *context, const char *key, const char *pattern, struct fault *why)
{
        const char *answer;
        char command[128];

        (void)snprintf(command, sizeof command, "insert rule ip filter FORWARD %s \"%s\" counter accept", key, pattern);
        if (nft_run_cmd_from_buffer(context, command) == 0)
                return 0;
        answer = nft_ctx_get_error_buffer(context);
        return fault_set(why, FAULT_INTERNAL, EIO, "cannot open nftables' ip filter FORWARD: %.*s",
                         (int)strcspn(answer, "\n"), answer);
}

int nft_open_forward(const char *interface_prefix, struct fault *why)
{
        AUTO(free_context) struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);
        AUTO(free_json) cJSON *answer = NULL;
        char pattern[20];
        int r = 0;

        if (context == NULL || nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0)
                return fault_set(why, FAULT_INTERNAL, ENOMEM, "cannot use libnftables");
        answer = list_forward(context);
        if (answer == NULL)
                return 0;
        (void)snprintf(pattern, sizeof pattern, "%.15s*", interface_prefix);
        for (size_t i = 0; r == 0 && i < WAY_COUNT; i++)
                if (!has_rule(answer, WAYS[i], pattern))
                        r = insert_rule(context, WAYS[i], pattern, why);
        return r;
}
