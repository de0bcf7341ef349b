#include "board.h"

const struct board_application board_application = {.confirms = false, .crashes = false};
