// SQL that is put together piece by piece, with every value of a script's bound.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/track/database.h"
#include "host/track/filter.h"
#include "host/track/search.h"

namespace trainhost::track {

// SQL and the values of its question marks, in their order.
struct Sql {
  std::string text;
  std::vector<SqlValue> values;

  Sql& operator+=(std::string_view more) {
    text += more;
    return *this;
  }
  Sql& operator+=(Sql more) {
    text += more.text;
    std::move(more.values.begin(), more.values.end(), std::back_inserter(values));
    return *this;
  }
  Sql& bind(SqlValue value) {
    text += '?';
    values.push_back(std::move(value));
    return *this;
  }
};

// `column` is one of ours; what a script has written is bound.
Sql compared(const std::string& column, const Condition& condition);
// `table`: of keys and values, one row of which belongs to the row of `owner`, as `link` says of its alias e. `prefix`:
// of the names of its columns.
Sql keyed_condition(const Condition& condition, const std::string& table, const std::string& link,
                    const std::string& prefix = "");
// Throws Error(usage) for a number of results that no page has.
void check_count(const Query& query, int64_t most = 50'000);
// The page of a query that is whole but for LIMIT: one row more than asked for tells that there is a next one.
Page page_of(Database& database, Sql sql, const Query& query);

}  // namespace trainhost::track
