/* top_columns.c - one line for each object: the columns, their content, the order of rows.
 *
 * The name comes last, as in `leat ls`, and is left to the caller, which knows how wide its
 * characters are.
 */
#include <string.h>

#include "figures.h"
#include "names.h"
#include "top.h"

#define NAME_ROOM 18

static const struct {
    const char *title;
    int width;
    bool left;
} columns[TOP_COLUMNS] = {
    [TOP_KIND] = {"KIND", 9, true},         [TOP_SCOPE] = {"SCOPE", 6, true},
    [TOP_USERS] = {"USERS", 5, false},      [TOP_MESSAGES] = {"MSG/S", 7, false},
    [TOP_BYTES] = {"B/S", 8, false},        [TOP_BACKLOG] = {"BACKLOG", 8, false},
    [TOP_FULL] = {"FULL", 4, false},        [TOP_HIGH_WATER] = {"HIGH", 8, false},
    [TOP_WAKES] = {"WAKES/S", 7, false},    [TOP_SLEEPS] = {"SLEEPS/S", 8, false},
    [TOP_STALLS] = {"STALLS/S", 8, false},  [TOP_WAKE] = {"WAKE", 7, false},
    [TOP_SENDER] = {"SENDER", 6, true},     [TOP_RECEIVER] = {"RECEIVER", 8, true},
    [TOP_NAME] = {"NAME", NAME_ROOM, true},
};

const char *top_column_title(int column) {
    return column < TOP_COLUMNS ? columns[column].title : NULL;
}

/* --- Layout ----------------------------------------------------------------------------------- */

static void measure(struct top_layout *layout) {
    layout->width = 0;
    for (int column = 0; column < TOP_NAME; column++)
        layout->width += layout->shown[column] ? columns[column].width + 1 : 0;
}

void top_layout(struct top_layout *layout, const struct top_model *model, int width) {
    static const enum top_column least_first[] = {
        TOP_HIGH_WATER, TOP_STALLS, TOP_SLEEPS,  TOP_USERS,   TOP_WAKES,
        TOP_SCOPE,      TOP_KIND,   TOP_WAKE,    TOP_FULL,    TOP_BYTES,
        TOP_RECEIVER,   TOP_SENDER, TOP_BACKLOG, TOP_MESSAGES};
    for (int column = 0; column < TOP_COLUMNS; column++)
        layout->shown[column] = true;
    layout->shown[TOP_KIND] = model->others || model->sort == TOP_KIND;
    layout->shown[TOP_SCOPE] = (model->local && model->global) || model->sort == TOP_SCOPE;
    measure(layout);
    for (size_t i = 0;
         i < sizeof least_first / sizeof least_first[0] && layout->width + NAME_ROOM > width; i++) {
        layout->shown[least_first[i]] = least_first[i] == model->sort;
        measure(layout);
    }
}

int top_column_place(const struct top_layout *layout, enum top_column column, int *width) {
    int place = 0;
    for (int before = 0; before < (int)column; before++)
        place += layout->shown[before] ? columns[before].width + 1 : 0;
    *width = columns[column].width;
    return place;
}

/* --- Texts ------------------------------------------------------------------------------------ */

/* A number of any size in seven places: 0, 0.5, 12345, "1.2 M". */
static const char *number(struct figure *figure, double value) {
    if (value >= 99999.5)
        return figure_decimal(figure, value, "");
    snprintf(figure->text, sizeof figure->text, "%.*f", value > 0 && value < 9.95 ? 1 : 0, value);
    return figure->text;
}

/* The roles read each other's positions only now and then, so the present backlog counts too. */
static uint64_t high_water(const struct top_row *row) {
    uint64_t sent = row->channel.sent.high_water_bytes,
             received = row->channel.received.high_water_bytes;
    uint64_t most = sent > received ? sent : received;
    return most > row->channel.backlog_bytes ? most : row->channel.backlog_bytes;
}

static double full(const struct top_row *row) {
    return row->channel.capacity == 0
               ? 0
               : (double)row->channel.backlog_bytes / (double)row->channel.capacity;
}

/* A channel's column that needs two samples; NULL: it is no such column. */
static const double *rate_of(const struct top_row *row, enum top_column column) {
    switch (column) {
    case TOP_MESSAGES:
        return &row->rates.messages;
    case TOP_BYTES:
        return &row->rates.bytes;
    case TOP_WAKES:
        return &row->rates.wake_calls;
    case TOP_SLEEPS:
        return &row->rates.sleeps;
    case TOP_STALLS:
        return &row->rates.stalls;
    case TOP_WAKE:
        return &row->rates.wake_ns;
    default:
        return NULL;
    }
}

static const char *cell(struct figure *figure, const struct top_row *row, enum top_column column) {
    const double *rate = rate_of(row, column);
    leat_peer peer = column == TOP_SENDER ? row->channel.sender : row->channel.receiver;
    if (rate != NULL && (!row->rated || *rate < 0))
        return "-";
    if (column == TOP_WAKE)
        return figure_duration(figure, *rate < 1e19 ? (uint64_t)*rate : UINT64_MAX);
    if (rate != NULL)
        return column == TOP_BYTES ? figure_decimal(figure, *rate, "B") : number(figure, *rate);
    switch (column) {
    case TOP_KIND:
        return leat_kind_name(row->object.kind);
    case TOP_SCOPE:
        return scope_name(row->object.scope);
    case TOP_USERS:
        snprintf(figure->text, sizeof figure->text, "%u", row->object.users);
        return figure->text;
    case TOP_BACKLOG:
        return figure_bytes(figure, row->channel.backlog_bytes);
    case TOP_FULL:
        snprintf(figure->text, sizeof figure->text, "%.0f%%", 100 * full(row));
        return figure->text;
    case TOP_HIGH_WATER:
        return figure_bytes(figure, high_water(row));
    default:
        return peer != LEAT_PEER_PRESENT                           ? peer_name(peer)
               : column == TOP_SENDER && row->channel.many_senders ? "many"
                                                                   : "yes";
    }
}

/* Shown in place of figures. */
static void sentence(char text[TOP_LINE_SIZE], const struct top_row *row) {
    const leat_sync_info *sync = &row->sync;
    struct figure size;
    if (row->object.damaged)
        snprintf(text, TOP_LINE_SIZE, "damaged: its header fails its checksum");
    else if (row->code != LEAT_OK)
        snprintf(text, TOP_LINE_SIZE, "%s (%s)", leat_error_cause(row->code),
                 leat_error_name(row->code));
    else if (row->object.kind == LEAT_KIND_REGION)
        snprintf(text, TOP_LINE_SIZE, "%s%s", figure_bytes(&size, row->object.size),
                 row->object.persistent ? ", kept" : "");
    else if (row->object.kind == LEAT_KIND_EVENT)
        snprintf(text, TOP_LINE_SIZE, "%s, %s reset", sync->set ? "set" : "not set",
                 sync->manual_reset ? "manual" : "automatic");
    else if (row->object.kind == LEAT_KIND_SEMAPHORE)
        snprintf(text, TOP_LINE_SIZE, "count %u of %u", sync->count, sync->maximum);
    else if (sync->held)
        snprintf(text, TOP_LINE_SIZE, "held by %s %u",
                 sync->inherits_priority ? "thread" : "process", sync->holder);
    else
        snprintf(text, TOP_LINE_SIZE, "%s",
                 sync->lost        ? "lost: until 'leat reset'"
                 : sync->abandoned ? "abandoned: its holder died"
                                   : "free");
}

/* Appends a column and the space behind it. */
static void append(char line[TOP_LINE_SIZE], const char *text, int width, bool left) {
    size_t used = strlen(line);
    snprintf(line + used, TOP_LINE_SIZE - used, left ? "%-*.*s " : "%*.*s ", width, width, text);
}

const char *top_heading(char line[TOP_LINE_SIZE], const struct top_layout *layout) {
    line[0] = 0;
    for (int column = 0; column < TOP_NAME; column++)
        if (layout->shown[column])
            append(line, columns[column].title, columns[column].width, columns[column].left);
    return line;
}

const char *top_line(char line[TOP_LINE_SIZE], const struct top_layout *layout,
                     const struct top_row *row) {
    bool figures = top_has_channel(row);
    char text[TOP_LINE_SIZE];
    struct figure figure;
    line[0] = 0;
    for (int column = 0; column < (figures ? TOP_NAME : TOP_MESSAGES); column++)
        if (layout->shown[column])
            append(line, cell(&figure, row, (enum top_column)column), columns[column].width,
                   columns[column].left);
    int room = layout->width - (int)strlen(line);
    if (!figures && room > 1) {
        sentence(text, row);
        append(line, text, room - 1, true);
    }
    return line;
}

const char *top_totals_line(char line[TOP_LINE_SIZE], const struct top_model *model) {
    const struct top_totals *totals = &model->totals;
    struct figure messages, bytes, backlog, wake_calls, sleeps, stalls;
    size_t used = (size_t)snprintf(line, TOP_LINE_SIZE, "%zu channel%s, %zu busy, %zu died; ",
                                   totals->channels, totals->channels == 1 ? "" : "s", totals->busy,
                                   totals->died);
    snprintf(line + used, TOP_LINE_SIZE - used,
             "%s msg/s, %s/s, backlog %s, %s wakes/s, %s sleeps/s, %s stalls/s",
             number(&messages, totals->rates.messages),
             figure_decimal(&bytes, totals->rates.bytes, "B"),
             figure_bytes(&backlog, totals->backlog_bytes),
             number(&wake_calls, totals->rates.wake_calls), number(&sleeps, totals->rates.sleeps),
             number(&stalls, totals->rates.stalls));
    return line;
}

/* --- Order ------------------------------------------------------------------------------------ */

/* The value by which rows are compared; negative: there is none. Peers: dead peers first. */
static double figure_of(const struct top_row *row, enum top_column column) {
    const double *rate = rate_of(row, column);
    if (column == TOP_USERS)
        return row->object.users;
    if (!top_has_channel(row) || (rate != NULL && !row->rated))
        return -1;
    if (rate != NULL)
        return *rate;
    switch (column) {
    case TOP_BACKLOG:
        return (double)row->channel.backlog_bytes;
    case TOP_FULL:
        return full(row);
    case TOP_HIGH_WATER:
        return (double)high_water(row);
    case TOP_SENDER:
        return row->channel.sender;
    default:
        return row->channel.receiver;
    }
}

static int by_text(const struct top_row *a, const struct top_row *b, enum top_column column) {
    if (column == TOP_NAME)
        return strcmp(a->object.name, b->object.name);
    if (column == TOP_SCOPE)
        return (int)a->object.scope - (int)b->object.scope;
    return strcmp(leat_kind_name(a->object.kind), leat_kind_name(b->object.kind));
}

int top_compare(const struct top_row *a, const struct top_row *b, enum top_column column,
                bool reversed) {
    if (column == TOP_NAME || column == TOP_SCOPE || column == TOP_KIND)
        return reversed ? by_text(b, a, column) : by_text(a, b, column);
    double left = figure_of(a, column), right = figure_of(b, column);
    if (left == right)
        return 0;
    if (left < 0 || right < 0)
        return left < 0 ? 1 : -1;
    return (left > right) == reversed ? 1 : -1;
}
