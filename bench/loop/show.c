/* show.c - see results.h. */
#include "results.h"

static struct spread spread_at(const struct loop_results *results, size_t part, size_t mode,
                               enum placement placement, size_t figure) {
    double values[ROUNDS_MAX];
    unsigned known = 0;
    for (unsigned i = 0; i < ROUNDS_MAX; i++)
        if (results->has[part][mode][placement][i] &&
            results->figures[part][mode][placement][figure][i] >= 0)
            values[known++] = results->figures[part][mode][placement][figure][i];
    return spread_of(values, known);
}

static size_t heading_count(const struct part *part) {
    size_t count = 0;
    while (count < FIGURES_MAX && part->headings[count].head != NULL)
        count++;
    return count;
}

static bool has_any(const struct loop_results *results, size_t part, enum placement placement) {
    for (size_t mode = 0; mode < loop_parts[part]->way_count; mode++)
        if (results->count[part][mode][placement] > 0)
            return true;
    return false;
}

/* The first figure over that of the yardstick in the same round, a second before or after: what
 * changes more slowly does not matter. */
static struct spread ratio(const struct loop_results *results, size_t part, size_t mode,
                           enum placement placement) {
    size_t yardstick = loop_parts[part]->yardstick;
    double values[ROUNDS_MAX];
    unsigned known = 0;
    for (unsigned i = 0; i < ROUNDS_MAX && loop_parts[part]->way_count > 1; i++) {
        double own = results->figures[part][mode][placement][0][i],
               other = results->figures[part][yardstick][placement][0][i];
        if (results->has[part][mode][placement][i] && results->has[part][yardstick][placement][i] &&
            other > 0)
            values[known++] = own / other;
    }
    return spread_of(values, known);
}

/* --- Text ------------------------------------------------------------------------------------- */

static void show_row(FILE *out, const struct loop_results *results, size_t part, size_t mode,
                     enum placement placement) {
    fprintf(out, "%-16s %2u", loop_parts[part]->ways[mode].name,
            results->count[part][mode][placement]);
    for (size_t i = 0; i < heading_count(loop_parts[part]); i++) {
        struct spread spread = spread_at(results, part, mode, placement, i);
        char text[64] = "-";
        if (spread.count > 0)
            snprintf(text, sizeof text, "%.4g [%.4g..%.4g]", spread.median, spread.min, spread.max);
        fprintf(out, " | %-24s", text);
    }
    struct spread against = ratio(results, part, mode, placement);
    if (against.count > 0)
        fprintf(out, " | %.3g [%.3g..%.3g] %u", against.median, against.min, against.max,
                against.count);
    fprintf(out, "\n");
}

static void show_table(FILE *out, const struct loop_results *results, size_t at,
                       enum placement placement) {
    const struct part *part = loop_parts[at];
    fprintf(out, "\n%s, %s\n%-19s", part->title, placement_names[placement], "");
    for (size_t i = 0; i < heading_count(part); i++)
        fprintf(out, " | %-24s", part->headings[i].head);
    if (part->way_count > 1)
        fprintf(out, " | against %s", part->ways[part->yardstick].name);
    fprintf(out, "\n");
    for (size_t mode = 0; mode < part->way_count; mode++)
        show_row(out, results, at, mode, placement);
    if (part->goal != NULL)
        fprintf(out, "goal: %s\n", part->goal);
}

void loop_show_text(FILE *out, const struct loop_results *results) {
    for (size_t part = 0; part < PARTS; part++)
        for (enum placement placement = NEAR; placement <= FAR; placement++)
            if (has_any(results, part, placement))
                show_table(out, results, part, placement);
    fprintf(out, "\n");
    for (size_t part = 0; part < PARTS; part++)
        for (size_t mode = 0; mode < loop_parts[part]->way_count; mode++)
            if (has_any(results, part, NEAR) || has_any(results, part, FAR))
                fprintf(out, "%-9s %-16s %s\n", loop_parts[part]->name,
                        loop_parts[part]->ways[mode].name, loop_parts[part]->ways[mode].about);
    fprintf(
        out,
        "\ntrials: %u near, %u far; dropped: %u mixed, %u disturbed, %u unwanted; not begun: %u\n",
        results->tally[NEAR], results->tally[FAR], results->tally[MIXED], results->tally[DISTURBED],
        results->tally[UNWANTED], results->not_begun);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_result(FILE *out, const struct loop_results *results, size_t at, size_t mode,
                        enum placement placement) {
    const struct part *part = loop_parts[at];
    fprintf(out, "{\"part\": \"%s\", \"way\": \"%s\", \"placement\": \"%s\", \"rounds\": %u",
            part->name, part->ways[mode].name, placement_names[placement],
            results->count[at][mode][placement]);
    for (size_t i = 0; i < heading_count(part); i++) {
        struct spread spread = spread_at(results, at, mode, placement, i);
        if (spread.count > 0)
            fprintf(out, ", \"%s\": {\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}",
                    part->headings[i].json, spread.median, spread.min, spread.max);
        else
            fprintf(out, ", \"%s\": null", part->headings[i].json);
    }
    struct spread against = ratio(results, at, mode, placement);
    if (against.count > 0)
        fprintf(
            out,
            ", \"against\": \"%s\", \"ratio\": {\"median\": %.4g, \"min\": %.4g, \"max\": %.4g}",
            part->ways[part->yardstick].name, against.median, against.min, against.max);
    fprintf(out, "}");
}

void loop_show_json(FILE *out, const struct plan *plan, const struct loop_results *results) {
    const char *separator = "";
    fprintf(out,
            "\n    {\"experiment\": \"loop\", \"rounds\": %u,\n     \"dropped\": {\"mixed\": %u, "
            "\"disturbed\": %u, \"unwanted\": %u}, ",
            plan->rounds, results->tally[MIXED], results->tally[DISTURBED],
            results->tally[UNWANTED]);
    fprintf(out, "\"not_begun\": %u,\n     \"results\": [", results->not_begun);
    for (size_t part = 0; part < PARTS; part++)
        for (size_t mode = 0; mode < loop_parts[part]->way_count; mode++)
            for (enum placement placement = NEAR; placement <= FAR; placement++) {
                if (results->count[part][mode][placement] == 0)
                    continue;
                fprintf(out, "%s\n      ", separator);
                json_result(out, results, part, mode, placement);
                separator = ",";
            }
    fprintf(out, "]}");
}
