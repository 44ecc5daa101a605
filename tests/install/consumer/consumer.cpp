// consumer VERSION - a C++ program that uses the installed leat: bytes go into a region and come out.
#include <leat/leat.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2 || std::string(argv[1]) != leat_version()) {
        std::printf("library %s, wanted %s\n", leat_version(), argc == 2 ? argv[1] : "?");
        return 1;
    }

    const std::string name = "install-consumer-cpp-" + std::to_string(getpid());
    leat_region_options options = {};
    options.permissions = 0600;
    leat_region *region = nullptr;
    int code = leat_region_create(&region, name.c_str(), 4096, &options);
    if (code != LEAT_OK) {
        std::printf("leat_region_create: %s (%s)\n", leat_error_name(code), leat_error_detail());
        return 1;
    }
    char text[6] = "";
    code = leat_region_write(region, 100, "hello", 6);
    if (code == LEAT_OK)
        code = leat_region_read(region, 100, text, sizeof text);
    leat_region_close(region);
    return code == LEAT_OK && std::strcmp(text, "hello") == 0 ? 0 : 1;
}
