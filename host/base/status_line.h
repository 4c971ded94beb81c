// The last line of a terminal that is drawn over itself, such as a progress bar, and what else goes to that terminal.
//
// What draws calls write(); whoever writes a line of his own calls give_way() before it. Any thread.
#pragma once

#include <string_view>

namespace trainhost::status_line {

// Writes to stdout at once. A text without a newline at its end stays the status line until something is written;
// before it, a line that others have begun is ended.
void write(std::string_view text);

// Takes the status line away, if there is one.
void give_way() noexcept;

// Others have written to stdout: have they ended their line?
void others_wrote(bool ended) noexcept;

// Lets the status line stand, with the cursor below it.
void finish();

}  // namespace trainhost::status_line
