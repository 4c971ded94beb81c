// The front door, until the embedding API lands.
#include "bindings/bindings.h"
