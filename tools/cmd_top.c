/* cmd_top.c - `leat top`: a live view of every channel.
 *
 * On a terminal: refresh, draw, wait for a key or the next refresh. Elsewhere: one block of lines,
 * or one line of JSON, for each refresh. `struct session` has everything that keys change; nothing
 * else here has a state.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "figures.h"
#include "info.h"
#include "names.h"
#include "signals.h"
#include "top.h"

#define DELAY_NS_MIN 100000000U
#define DELAY_NS_MAX (UINT64_C(86400) * 1000000000)
/* until the second refresh on a terminal, which is the first with rates */
#define FIRST_NS 300000000U
/* no manual refresh sooner after the last one: rates over a shorter time mean nothing */
#define HURRY_NS 20000000U

enum asking { ASKING_NOTHING, ASKING_DELAY, ASKING_FILTER };

struct session {
    struct top_model model;
    struct top_view view;
    uint64_t delay_ns;
    uint64_t next_ns; /* when the next refresh is due */
    bool batch, json;
    uint64_t count; /* refreshes; 0: until a signal */

    enum asking asking;
    char answer[sizeof((struct top_model *)NULL)->filter];
    bool held; /* the user has selected an object: the selection follows it */
    leat_object_info selected;
    bool quit;
};

static struct target place_of(leat_scope scope) {
    return (struct target){"directory of", scope == LEAT_LOCAL ? "local objects" : "global objects",
                           LEAT_LOCAL};
}

/* --- Batch ------------------------------------------------------------------------------------ */

/* False: a signal came. */
static bool sleep_until(uint64_t when_ns) {
    uint64_t now = leat_now();
    while (signals_seen() == 0 && now < when_ns) {
        uint64_t left = when_ns - now;
        struct timespec time = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        nanosleep(&time, NULL);
        now = leat_now();
    }
    return signals_seen() == 0;
}

static int run_batch(struct session *session) {
    struct top_model *model = &session->model;
    leat_scope scope;
    uint64_t next = leat_now();
    int code = top_model_refresh(model, &scope);
    for (uint64_t shown = 0; code == LEAT_OK && (session->count == 0 || shown < session->count);
         shown++) {
        next += session->delay_ns;
        if (next < leat_now()) /* stopped meanwhile, or a refresh takes longer */
            next = leat_now();
        if (!sleep_until(next))
            return END_BY_SIGNAL + signals_seen();
        code = top_model_refresh(model, &scope);
        if (code != LEAT_OK)
            break;
        if (session->json)
            top_batch_json(model, stdout);
        else
            top_batch_text(model, stdout);
        if (ferror(stdout))
            return errno == EPIPE ? END_BY_SIGNAL + SIGPIPE : fail_system("standard output", errno);
    }
    struct target place = place_of(scope);
    return code == LEAT_OK ? END_OK : fail_leat(&place, code, NULL);
}

/* --- Selection -------------------------------------------------------------------------------- */

static const struct top_row *selected_row(const struct session *session) {
    return session->view.selected < session->model.shown_count
               ? session->model.shown[session->view.selected]
               : NULL;
}

static void select_row(struct session *session, size_t row) {
    size_t count = session->model.shown_count;
    session->view.selected = row < count ? row : count > 0 ? count - 1 : 0;
    session->held = count > 0;
    if (session->held)
        session->selected = selected_row(session)->object;
}

/* After the rows have changed. If the selected object has gone, the selection stays in its
 * place. */
static void find_selected(struct session *session) {
    const struct top_model *model = &session->model;
    for (size_t i = 0; session->held && i < model->shown_count; i++) {
        const leat_object_info *object = &model->shown[i]->object;
        if (object->scope == session->selected.scope &&
            strcmp(object->name, session->selected.name) == 0) {
            session->view.selected = i;
            return;
        }
    }
    if (session->view.selected >= model->shown_count)
        session->view.selected = model->shown_count > 0 ? model->shown_count - 1 : 0;
}

static void move_selection(struct session *session, long long by) {
    long long to = (long long)session->view.selected + by;
    select_row(session, to < 0 ? 0 : (size_t)to);
}

/* --- Refreshing ------------------------------------------------------------------------------- */

static void arrange(struct session *session) {
    if (top_model_arrange(&session->model) != LEAT_OK)
        snprintf(session->view.notice, sizeof session->view.notice, "no memory for the list");
    find_selected(session);
}

static void read_details(struct session *session) {
    struct target target = {"object", session->selected.name, session->selected.scope};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return;
    int code = info_text(&target, out);
    struct shown_name name;
    if (code == LEAT_ENOENT)
        fprintf(out, "%s '%s' is gone\n", leat_kind_name(session->selected.kind),
                name_show(&name, session->selected.name));
    else if (code != LEAT_OK)
        fprintf(out, "  %s (%s)\n", leat_error_cause(code), leat_error_name(code));
    if (fclose(out) != 0) {
        free(text);
        return;
    }
    free(session->view.text);
    session->view.text = text;
}

static void refresh(struct session *session) {
    leat_scope scope = LEAT_LOCAL;
    struct top_view *view = &session->view;
    int code = top_model_refresh(&session->model, &scope);
    view->notice[0] = 0;
    if (code != LEAT_OK)
        snprintf(view->notice, sizeof view->notice, "%s: %s (%s)", place_of(scope).name,
                 leat_error_cause(code), leat_error_name(code));
    find_selected(session);
    if (view->page == TOP_PAGE_DETAILS)
        read_details(session);
    session->next_ns = leat_now() + session->delay_ns;
}

/* --- Keys ------------------------------------------------------------------------------------- */

static void ask(struct session *session, enum asking asking) {
    session->asking = asking;
    session->answer[0] = 0;
    session->view.question =
        asking == ASKING_DELAY ? "Seconds between two refreshes:" : "Part of the name:";
    session->view.answer = session->answer;
    if (asking == ASKING_FILTER)
        strcpy(session->answer, session->model.filter);
}

static void set_filter(struct session *session, const char *text) {
    strcpy(session->model.filter, text);
    arrange(session);
}

static void set_delay(struct session *session) {
    uint64_t delay;
    if (session->answer[0] == 0)
        return;
    if (!parse_seconds(session->answer, &delay) || delay < DELAY_NS_MIN || delay > DELAY_NS_MAX) {
        struct shown_text shown;
        snprintf(session->view.notice, sizeof session->view.notice,
                 "'%.40s' is not a number of seconds from 0.1 to 86400",
                 text_show(&shown, session->answer));
        return;
    }
    session->delay_ns = session->view.delay_ns = delay;
    session->next_ns = leat_now() + delay;
}

/* The last character, whose bytes after the first are 10xxxxxx. */
static void erase_last(char *text) {
    size_t length = strlen(text);
    while (length > 0 && ((unsigned char)text[--length] & 0xc0) == 0x80)
        continue;
    text[length] = 0;
}

static void on_answer_key(struct session *session, int key) {
    size_t length = strlen(session->answer);
    bool filter = session->asking == ASKING_FILTER,
         over = key == TOP_KEY_ENTER || key == TOP_KEY_ESCAPE;
    if (key == TOP_KEY_ESCAPE)
        session->answer[0] = 0;
    else if (key == TOP_KEY_ERASE)
        erase_last(session->answer);
    else if (key >= ' ' && key < 0x100 && length + 1 < sizeof session->answer) {
        session->answer[length] = (char)key;
        session->answer[length + 1] = 0;
    }
    if (filter)
        set_filter(session, session->answer);
    else if (key == TOP_KEY_ENTER)
        set_delay(session);
    if (over) {
        session->asking = ASKING_NOTHING;
        session->view.question = NULL;
    }
}

static void leave_page(struct session *session) {
    session->view.page = TOP_PAGE_LIST;
    session->view.text_top = 0;
}

static void on_text_key(struct session *session, int key) {
    struct top_view *view = &session->view;
    size_t page = top_screen_rows();
    if (key == TOP_KEY_UP || key == 'k')
        view->text_top -= view->text_top > 0;
    else if (key == TOP_KEY_DOWN || key == 'j')
        view->text_top++;
    else if (key == TOP_KEY_PAGE_UP)
        view->text_top -= view->text_top < page ? view->text_top : page;
    else if (key == TOP_KEY_PAGE_DOWN)
        view->text_top += page;
    else if (key == TOP_KEY_HOME)
        view->text_top = 0;
    else if (key == TOP_KEY_END)
        view->text_top = SIZE_MAX / 2;
    else if (key == ' ')
        refresh(session);
    else if (key == 'q' || key == TOP_KEY_ESCAPE || key == TOP_KEY_ENTER ||
             view->page == TOP_PAGE_HELP)
        leave_page(session);
}

static void sort_by_next(struct session *session, int step) {
    struct top_model *model = &session->model;
    do
        model->sort = (enum top_column)(((int)model->sort + TOP_COLUMNS + step) % TOP_COLUMNS);
    while ((model->sort == TOP_KIND && !model->others) ||
           (model->sort == TOP_SCOPE && !(model->local && model->global)));
    arrange(session);
}

/* True: the key moves the selection. */
static bool on_moving_key(struct session *session, int key) {
    long long page = (long long)top_screen_rows(), count = (long long)session->model.shown_count;
    if (key == TOP_KEY_UP || key == 'k')
        move_selection(session, -1);
    else if (key == TOP_KEY_DOWN || key == 'j')
        move_selection(session, 1);
    else if (key == TOP_KEY_PAGE_UP)
        move_selection(session, -page);
    else if (key == TOP_KEY_PAGE_DOWN)
        move_selection(session, page);
    else if (key == TOP_KEY_END)
        move_selection(session, count);
    else if (key == TOP_KEY_HOME) {
        move_selection(session, -count);
        session->held = false; /* the first place, whatever object is there */
    } else
        return false;
    return true;
}

static void on_list_key(struct session *session, int key) {
    struct top_model *model = &session->model;
    if (key == 'q')
        session->quit = true;
    else if (key == 'h' || key == '?' || key == TOP_KEY_HELP)
        session->view.page = TOP_PAGE_HELP;
    else if (key == '<')
        sort_by_next(session, -1);
    else if (key == '>' || key == TOP_KEY_SORT)
        sort_by_next(session, 1);
    else if (key == 'R') {
        model->reversed = !model->reversed;
        arrange(session);
    } else if (key == '/' || key == TOP_KEY_FILTER)
        ask(session, ASKING_FILTER);
    else if (key == TOP_KEY_ESCAPE)
        set_filter(session, "");
    else if (key == 's' || key == 'd')
        ask(session, ASKING_DELAY);
    else if (key == 'o') {
        model->others = !model->others;
        model->sort = model->sort == TOP_KIND && !model->others ? TOP_MESSAGES : model->sort;
        refresh(session);
    } else if (key == ' ' && leat_now() > model->now.taken_ns + HURRY_NS)
        refresh(session);
    else if (key == TOP_KEY_ENTER && selected_row(session) != NULL) {
        session->selected = selected_row(session)->object;
        session->held = true;
        session->view.page = TOP_PAGE_DETAILS;
        read_details(session);
    } else
        on_moving_key(session, key);
}

static void on_key(struct session *session, int key) {
    if (key == ('l' & 0x1f))
        top_screen_redraw_all();
    else if (session->asking != ASKING_NOTHING)
        on_answer_key(session, key);
    else if (session->view.page == TOP_PAGE_LIST)
        on_list_key(session, key);
    else if (key < TOP_KEY_NONE || key > TOP_KEY_RESIZE)
        on_text_key(session, key);
}

static int run_screen(struct session *session) {
    int end = END_OK;
    session->view.model = &session->model;
    session->view.delay_ns = session->delay_ns;
    refresh(session);
    if (session->delay_ns > FIRST_NS)
        session->next_ns = leat_now() + FIRST_NS;
    while (!session->quit && end == END_OK) {
        top_screen_draw(&session->view);
        int key = top_screen_key(session->next_ns);
        if (signals_seen() != 0)
            end = END_BY_SIGNAL + signals_seen();
        else if (key == TOP_KEY_HANGUP)
            end = END_BY_SIGNAL + SIGHUP;
        else if (key != TOP_KEY_NONE)
            on_key(session, key);
        if (leat_now() >= session->next_ns)
            refresh(session);
    }
    top_screen_close();
    free(session->view.text);
    return end;
}

/* --- Arguments -------------------------------------------------------------------------------- */

static struct session session = {.delay_ns = 1000000000};
static int sort = TOP_MESSAGES;
static const char *filter = "";

static const struct argument arguments[] = {
    {OPTION("local", 'l', NULL, "only local objects"), .flag = &session.model.local},
    {OPTION("global", 'g', NULL, "only global objects"), .flag = &session.model.global},
    {OPTION("others", 'o', NULL, "also mutexes, events, semaphores and regions"),
     .flag = &session.model.others},
    {OPTION("delay", 'd', "SECONDS", "seconds between two refreshes, 0.1 to 86400; default 1"),
     .duration = &session.delay_ns, .min = DELAY_NS_MIN, .max = DELAY_NS_MAX},
    {OPTION("sort", 0, "COLUMN",
            "the column to sort by, with its name in the heading; default MSG/S"),
     .choice = &sort, .choices = top_column_title},
    {OPTION("filter", 0, "TEXT", "only objects with TEXT in the name, in upper or lower case"),
     .text = &filter, .max = sizeof session.model.filter - 1},
    {OPTION("batch", 'b', NULL, "plain lines, also on a terminal; elsewhere this is the default"),
     .flag = &session.batch},
    {OPTION("count", 'n', "N", "end after N refreshes; batch"), .count = &session.count, .min = 1},
    JSON_OPTION(&session.json, "batch; each refresh is a JSON object in a line of its own"),
    HELP_OPTION,
};

static int run(void) {
    struct top_model *model = &session.model;
    model->sort = (enum top_column)sort;
    strcpy(model->filter, filter);
    if (!model->local && !model->global)
        model->local = model->global = true;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !session.batch &&
                    !session.json && session.count == 0;
    signals_catch();
    int end = terminal && top_screen_open() ? run_screen(&session) : run_batch(&session);
    top_model_forget(model);
    return end;
}

const struct command command_top = {
    .name = "top",
    .summary = "show all channels, live",
    .about = "Shows every channel that this user may read, with rates, backlog and roles,\n"
             "again and again. It reads from outside: nothing is opened, woken or held up.\n"
             "Press h for the keys.\n",
    .notes = "Batch waits once before the first output, so that it can show rates. Rates are\n"
             "the receiver's, or the sender's where there is no receiver. A sender publishes\n"
             "its counters every eighth of the ring: figures that only the sender has are an\n"
             "average since they last moved, and \"-\" until that is known. WAKE is the mean\n"
             "time from a sender's wake call until the sleeping receiver was awake.\n",
    .arguments = arguments,
    .instead = "--filter TEXT selects by name, 'leat info NAME' shows one object",
    .run = run,
};
