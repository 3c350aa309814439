#include <stdio.h>
#include <stdlib.h>

/* One source for both variants: nothing in it knows which one it becomes. */
int main(int argc, char **argv) {
    const char *greeting = getenv("GREETING");
    printf("%s, %s!\n", greeting ? greeting : "hello", argc > 1 ? argv[1] : "shore");
    return 0;
}
