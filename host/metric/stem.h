// Porter's stemmer: English words without their endings.
#pragma once

#include <string>
#include <string_view>

namespace trainhost::metric {

// The stem of a word of a to z and 0 to 9 in lower case, as NLTK's PorterStemmer with its extensions has it.
std::string stem(std::string_view word);

}  // namespace trainhost::metric
