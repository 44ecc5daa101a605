/* plot.c - see report.h. gnuplot gets commands and data on its standard input. Rows that have no
 * value are left out, so that a line goes on where there is one. */
#include "../tools/common.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define PANEL_HEIGHT 420
#define WIDTH 1000

struct picture {
    FILE *out; /* to gnuplot */
    const struct plan *plan;
    const struct results *results;
    enum placement placement;
};

/* --- gnuplot ---------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

int plot_check(const char *path) {
    const char *problem = NULL;
    if (!ends_in(path, ".svg") && !ends_in(path, ".png"))
        problem = "give a name that ends in .svg or .png";
    else if (system("command -v gnuplot >/dev/null 2>&1") != 0)
        problem = "it needs gnuplot, which is not in PATH: install it (Debian: gnuplot-nox)";
    return problem == NULL ? 0 : fail_target(NULL, -1, "--plot '%s': %s", path, problem);
}

/* As gnuplot wants text. */
static void quoted(FILE *out, const char *text) {
    fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputc('\'', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
    fputc('\'', out);
}

/* --- Data ------------------------------------------------------------------------------------- */

static enum experiment experiment_of(const struct picture *picture) {
    return (enum experiment)picture->plan->parts[0]->ways[0].context;
}

static const struct cell *cell_at(const struct picture *picture, size_t t, size_t c) {
    return results_cell(picture->results, 0, c, t);
}

/* By column: its number, median, lowest and highest. */
static void columns_data(const struct picture *picture, size_t t) {
    const struct plan *plan = picture->plan;
    fprintf(picture->out, "$t%zu << END\n", t);
    for (size_t c = 0; c < plan_columns(plan); c++) {
        const struct cell *cell = cell_at(picture, t, c);
        struct spread spread = cell_spread(cell, picture->placement, 0);
        if (spread.count != 0)
            fprintf(picture->out, "%zu %g %g %g\n", c, spread.median, spread.min, spread.max);
    }
    fprintf(picture->out, "END\n");
}

/* Seconds by 1 / (1 - percentile), eight steps for each factor of ten, as far as there are values
 * beyond it. */
static void percentiles_data(const struct picture *picture, size_t t, size_t c) {
    const struct histogram *times = cell_at(picture, t, c)->all[picture->placement];
    double unit = histogram_unit(experiment_of(picture));
    fprintf(picture->out, "$t%zu_%zu << END\n", t, c);
    for (double inverse = 1; times != NULL && inverse <= (double)times->count;
         inverse *= 1.333521432163324)
        fprintf(picture->out, "%g %g\n", inverse,
                (double)histogram_quantile(times, 1 - 1 / inverse) * unit / 1e9);
    fprintf(picture->out, "END\n");
}

/* --- Panels ----------------------------------------------------------------------------------- */

static bool is_ours(const struct way *way) {
    return strncmp(way->name, "leat", 4) == 0;
}

/* leat's lines are thick, with filled marks; those of others thin and dashed, with open ones. */
static void line_style(const struct picture *picture, size_t t, bool marked) {
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9",
                                          "#e69f00", "#7f7f7f", "#8b4513", "#4b0082", "#6b8e23"};
    static const int filled[] = {7, 5, 9, 11, 13}, open[] = {6, 4, 8, 10, 12};
    bool ours = is_ours(&picture->plan->parts[0]->ways[t]);
    fprintf(picture->out, " lw %s dt %d lc rgb '%s'", ours ? "2.5" : "1.4",
            ours ? 1 : (int)(2 + t / 10 % 4), colours[t % 10]);
    if (marked)
        fprintf(picture->out, " pt %d ps 0.7", ours ? filled[t % 5] : open[t % 5]);
    fprintf(picture->out, " title ");
    quoted(picture->out, picture->plan->parts[0]->ways[t].name);
}

static bool has_column(const struct picture *picture, size_t t, size_t c) {
    return cell_count(cell_at(picture, t, c), picture->placement) != 0;
}

static bool has_any(const struct picture *picture, size_t t) {
    for (size_t c = 0; c < plan_columns(picture->plan); c++)
        if (has_column(picture, t, c))
            return true;
    return false;
}

/* A line for each way that has anything to show. */
static void plot_lines(const struct picture *picture, size_t c, bool by_column) {
    bool first = true;
    for (size_t t = 0; t < picture->plan->parts[0]->way_count; t++) {
        if (by_column ? !has_any(picture, t) : !has_column(picture, t, c))
            continue;
        fprintf(picture->out, first ? "plot " : ", ");
        if (by_column)
            fprintf(picture->out, "$t%zu using 1:2:3:4 with yerrorlines", t);
        else
            fprintf(picture->out, "$t%zu_%zu using 1:2 with lines", t, c);
        line_style(picture, t, by_column);
        first = false;
    }
    fprintf(picture->out, "\n");
}

static void columns_panel(const struct picture *picture) {
    const struct plan *plan = picture->plan;
    FILE *out = picture->out;
    for (size_t t = 0; t < plan->parts[0]->way_count; t++)
        columns_data(picture, t);
    fprintf(out,
            "set logscale y\nset ylabel 'million messages per second'\n"
            "set xlabel 'size of a message'\nset xrange [-0.3:%g]\nset xtics (",
            (double)plan_columns(plan) - 0.7);
    for (size_t c = 0; c < plan_columns(plan); c++) {
        char text[64];
        fputs(c == 0 ? "" : ", ", out);
        quoted(out, column_name(plan, c, text));
        fprintf(out, " %zu", c);
    }
    fprintf(out, ")\n");
    plot_lines(picture, 0, true);
}

static void percentiles_panel(const struct picture *picture, size_t c) {
    FILE *out = picture->out;
    char text[64];
    for (size_t t = 0; t < picture->plan->parts[0]->way_count; t++)
        percentiles_data(picture, t, c);
    fprintf(out, "set title ");
    quoted(out, column_name(picture->plan, c, text));
    fprintf(out,
            "\nset logscale xy\nset xrange [1:*]\nset xlabel 'percentile'\nset ylabel '%s'\n"
            "set format y '%%.0s %%cs'\n"
            "set xtics ('0%%%%' 1, '50%%%%' 2, '90%%%%' 10, '99%%%%' 100, '99.9%%%%' 1000, "
            "'99.99%%%%' 1e4, "
            /* %% is a % in gnuplot too */
            "'99.999%%%%' 1e5, '99.9999%%%%' 1e6, '99.99999%%%%' 1e7)\n",
            experiment_of(picture) == OPEN_LOOP ? "one way" : "round trip");
    plot_lines(picture, c, false);
}

/* The columns that anything was measured in, in this placement. */
static size_t list_columns(const struct picture *picture, size_t columns[SIZES_MAX * LEVELS_MAX]) {
    size_t count = 0;
    for (size_t c = 0; c < plan_columns(picture->plan); c++)
        for (size_t t = 0; t < picture->plan->parts[0]->way_count; t++)
            if (has_column(picture, t, c)) {
                columns[count++] = c;
                break;
            }
    return count;
}

static void draw(const struct picture *picture, const char *path) {
    static const char *const titles[EXPERIMENTS] = {
        "Throughput, median with lowest and highest cell",
        "Round trips, one message at a time, by percentile",
        "Round trips that wake the other side, by percentile",
        "One way at a fixed rate, from when due, by percentile"};
    const struct plan *plan = picture->plan;
    size_t columns[SIZES_MAX * LEVELS_MAX], panels = list_columns(picture, columns);
    bool by_column = experiment_of(picture) == RATE;
    FILE *out = picture->out;
    panels = by_column ? 1 : panels;
    int height = 60 + (int)panels * PANEL_HEIGHT;
    fprintf(out,
            "set encoding utf8\nset terminal %s size %d,%d noenhanced font 'DejaVu Sans,11' "
            "background '#ffffff'\nset output ",
            ends_in(path, ".svg") ? "svg" : "pngcairo", WIDTH, height);
    quoted(out, path);
    fprintf(out,
            "\nset grid xtics ytics lc rgb '#d8d8d8'\nset key outside right top Left reverse "
            "samplen 2\n"
            "set multiplot layout %zu,1 title '%s' font ',14'\n"
            "set label 1 at screen 0.5,screen %g center font ',9' ",
            panels, titles[experiment_of(picture)], 1 - 42.0 / height);
    char text[320], name[256];
    machine_name(name);
    snprintf(text, sizeof text, "%s; queue of %zu KiB; %s", name, plan->capacity / 1024,
             picture->placement == ONE_CPU ? "both processes on one CPU"
             : picture->placement == NEAR  ? "CPUs near each other"
                                           : "CPUs far from each other");
    quoted(out, text);
    fprintf(out, "\nset tmargin 4\n");
    if (by_column)
        columns_panel(picture);
    for (size_t i = 0; i < panels && !by_column; i++) {
        percentiles_panel(picture, columns[i]);
        fprintf(out, "unset label 1\n"); /* once is enough */
    }
    fprintf(out, "unset multiplot\n");
}

static enum placement larger_placement(const struct results *results) {
    if (results->tally[ONE_CPU] != 0)
        return ONE_CPU;
    return results->tally[FAR] > results->tally[NEAR] ? FAR : NEAR;
}

int plot_write(const char *path, const struct results *results) {
    const char *problem = "gnuplot could not be started";
    if (results->tally[NEAR] + results->tally[FAR] + results->tally[ONE_CPU] == 0)
        problem = "no cell was measured undisturbed, so there is nothing to plot";
    else {
        struct picture picture = {popen("gnuplot -", "w"), results->plan, results,
                                  larger_placement(results)};
        if (picture.out != NULL) {
            draw(&picture, path);
            problem = pclose(picture.out) == 0 ? NULL
                                               : "gnuplot failed, and the file may be missing or "
                                                 "incomplete; what it said is above";
        }
    }
    if (problem != NULL)
        return fail_target(NULL, -1, "--plot '%s': %s", path, problem);
    fprintf(stderr, "wrote %s\n", path);
    return 0;
}
