/* json.c - results as JSON; see report.h. */
#include "machine.h"
#include "report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

/* Text that may be no UTF-8, as the shell gave it: each byte stands for the character of its
 * number. */
static json_t *text_of(const char *bytes) {
    char *text = malloc(2 * strlen(bytes) + 1), *at = text;
    for (; text != NULL && *bytes != '\0'; bytes++) {
        unsigned char c = (unsigned char)*bytes;
        if (c >= 0x80)
            *at++ = (char)(0xc0 | c >> 6), c = (c & 0x3f) | 0x80;
        *at++ = (char)c;
    }
    json_t *json = text != NULL ? json_stringn(text, (size_t)(at - text)) : NULL;
    free(text);
    return json;
}

static json_t *machine_of(const struct json_run *run) {
    char model[128], name[192];
    struct utsname system;
    cpu_model(model);
    uname(&system);
    snprintf(name, sizeof name, "%s %s", system.sysname, system.release);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:[i, i], s:b}", "host", system.nodename, "cpu",
                     model, "system", name, "architecture", system.machine, "compiler", __VERSION__,
                     "cpus", run->cpus[0], run->cpus[1], "realtime", (int)realtime_is_on());
}

static json_t *spread_of_json(struct spread spread) {
    return spread.count == 0 ? json_null()
                             : json_pack("{s:f, s:f, s:f}", "median", spread.median, "min",
                                         spread.min, "max", spread.max);
}

/* `sender.cpu_s` becomes a member of the object `sender`. */
static void set_member(json_t *object, const char *name, json_t *value) {
    const char *dot = strchr(name, '.');
    if (dot == NULL || (dot[1] >= '0' && dot[1] <= '9')) {
        json_object_set_new(object, name, value);
        return;
    }
    char first[32];
    snprintf(first, sizeof first, "%.*s", (int)(dot - name), name);
    json_t *inner = json_object_get(object, first);
    if (inner == NULL)
        json_object_set_new(object, first, inner = json_object());
    json_object_set_new(inner, dot + 1, value);
}

static json_t *sum_of_json(double sum) {
    return sum == (double)(json_int_t)sum ? json_integer((json_int_t)sum) : json_real(sum);
}

static json_t *cell_json(const struct results *results, size_t at, size_t column, size_t way,
                         enum placement placement) {
    const struct plan *plan = results->plan;
    const struct part *part = plan->parts[at];
    const struct cell *cell = results_cell(results, at, column, way);
    struct column place = plan_column(plan, column);
    char text[32];
    json_t *json = json_pack("{s:s, s:s}", "part", part->name, "way", part->ways[way].name);
    if (plan->size_count != 0)
        set_member(json, "size", json_string(size_name(place.size, text)));
    if (place.level != 0)
        set_member(json, "rate", json_integer((json_int_t)place.level));
    if (!part->alone)
        set_member(json, "placement", json_string(placement_names[placement]));
    set_member(json, "rounds", json_integer(cell_count(cell, placement)));
    for (size_t i = 0; i < figure_count(part); i++)
        set_member(json, part->figures[i].json,
                   part->figures[i].sum ? sum_of_json(cell_sum(cell, placement, i))
                                        : spread_of_json(cell_spread(cell, placement, i)));
    if (!part->alone)
        set_member(json, "probe_ns", spread_of_json(cell_probe(cell, placement)));
    if (part->yardstick < part->way_count && part->way_count > 1) {
        const struct cell *other = results_cell(results, at, column, part->yardstick);
        set_member(json, "against", json_string(part->ways[part->yardstick].name));
        set_member(json, "ratio", spread_of_json(cell_ratio(cell, other, placement)));
    }
    return json;
}

static json_t *results_json(const struct results *results) {
    json_t *json = json_array();
    for (size_t part = 0; part < results->plan->part_count; part++)
        for (size_t c = 0; c < plan_columns(results->plan); c++)
            for (size_t way = 0; way < results->plan->parts[part]->way_count; way++)
                for (enum placement placement = NEAR; placement < PLACED; placement++)
                    if (cell_count(results_cell(results, part, c, way), placement) != 0)
                        json_array_append_new(json, cell_json(results, part, c, way, placement));
    return json;
}

static json_t *experiment_json(const struct results *results) {
    const struct plan *plan = results->plan;
    const unsigned *tally = results->tally;
    json_t *dropped = json_pack("{s:i, s:i, s:i}", "mixed", (int)tally[MIXED], "disturbed",
                                (int)tally[DISTURBED], "unwanted", (int)tally[UNWANTED]);
    return json_pack("{s:s, s:I, s:i, s:f, s:f, s:o, s:i, s:o}", "experiment", plan->name,
                     "capacity", (json_int_t)plan->capacity, "rounds", (int)plan->rounds, "cell_s",
                     (double)plan->duration_ns / 1e9, "pause_s", (double)plan->pause_ns / 1e9,
                     "dropped", dropped, "not_begun", (int)results->not_begun, "results",
                     results_json(results));
}

int json_write(FILE *out, const struct json_run *run, const struct results *results) {
    char date[32];
    time_t now = time(NULL);
    json_t *command = json_array();
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    for (int i = 0; i < run->argc; i++)
        json_array_append_new(command, text_of(run->argv[i]));
    json_t *all =
        json_pack("{s:s, s:s, s:o, s:o, s:[o]}", "date", date, "library", run->library, "command",
                  command, "machine", machine_of(run), "experiments", experiment_json(results));
    int result = json_dumpf(all, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(all);
    fputc('\n', out);
    return result;
}
