// datasets, inputs, input_tags.
#include "host/track/inputs.h"

#include <nlohmann/json.hpp>

#include "host/track/record.h"
#include "host/track/request.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

// NULL where the field is absent.
void set_optional(Json& to, const char* name, const Statement& row, int column) {
  if (!row.is_null(column)) to[name] = row.text(column);
}

std::string dataset_uuid(Database& database, int64_t experiment, const Json& dataset) {
  const std::string name = text_field(dataset, "name"), digest = text_field(dataset, "digest");
  Statement known(database, "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?");
  if (known.bind(experiment, name, digest).step()) return known.text(0);
  const std::string id = new_id();
  Statement(database,
            "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, "
            "dataset_schema, dataset_profile) VALUES (?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''))")
      .bind(id, experiment, name, digest, text_field(dataset, "source_type"), text_field(dataset, "source"),
            text_field(dataset, "schema"), text_field(dataset, "profile"))
      .run();
  return id;
}

}  // namespace

void store_inputs(Database& database, const std::string& run, const Json& datasets) {
  Statement of_run(database, "SELECT experiment_id FROM runs WHERE run_uuid = ?");
  if (!of_run.bind(run).step()) return;
  const int64_t experiment = of_run.integer(0);
  of_run.reset();
  Statement link(database,
                 "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id) "
                 "VALUES (?, 'DATASET', ?, 'RUN', ?)");
  Statement linked(database,
                   "SELECT 1 FROM inputs WHERE source_type = 'DATASET' AND source_id = ? AND destination_type = 'RUN' "
                   "AND destination_id = ?");
  Statement add_tag(database, "INSERT OR REPLACE INTO input_tags (input_uuid, name, value) VALUES (?, ?, ?)");
  for (const Json& input : datasets) {
    const std::string dataset = dataset_uuid(database, experiment, input.at("dataset")), id = new_id();
    const bool known = linked.bind(dataset, run).step();
    linked.reset();
    if (known) continue;
    link.bind(id, dataset, run).run();
    for (const Json& tag : list_field(input, "tags"))
      add_tag.bind(id, text_field(tag, "key"), text_field(tag, "value")).run();
  }
}

Json read_inputs(Database& database, const std::string& run) {
  Json inputs = Json::array();
  Statement rows(database,
                 "SELECT i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, "
                 "d.dataset_profile FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
                 "WHERE i.destination_type = 'RUN' AND i.destination_id = ? ORDER BY i.rowid");
  Statement tags(database, "SELECT name, value FROM input_tags WHERE input_uuid = ? ORDER BY name");
  rows.bind(run);
  while (rows.step()) {
    Json dataset = {
        {"name", rows.text(1)}, {"digest", rows.text(2)}, {"source_type", rows.text(3)}, {"source", rows.text(4)}};
    set_optional(dataset, "schema", rows, 5);
    set_optional(dataset, "profile", rows, 6);
    Json list = Json::array();
    tags.bind(rows.text(0));
    while (tags.step()) list.push_back({{"key", tags.text(0)}, {"value", tags.text(1)}});
    inputs.push_back({{"dataset", std::move(dataset)}, {"tags", std::move(list)}});
  }
  return inputs;
}

}  // namespace trainhost::track
