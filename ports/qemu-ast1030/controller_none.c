#include "controller.h"

void controller_interrupt(void)
{
}
