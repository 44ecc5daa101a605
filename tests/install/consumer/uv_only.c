/* uv_only.c - a program that calls functions of leat_uv only, and none of leat. */
#include <leat/uv.h>

int main(void) {
    leat_uv_receiver_t receiver;
    if (leat_uv_receiver_open(uv_default_loop(), &receiver, "consumer-uv-only", NULL) != 0)
        return 1;
    leat_uv_close(&receiver.handle, NULL);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return uv_loop_close(uv_default_loop()) == 0 ? 0 : 2;
}
