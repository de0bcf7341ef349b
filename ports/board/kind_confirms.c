#include "board.h"

const struct board_application board_application = {.confirms = true, .crashes = false};
