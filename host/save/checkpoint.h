// Run checkpoints: a folder of safetensors and text files with a manifest, published in one step.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host/save/manifest.h"
#include "host/save/safetensors.h"

namespace trainhost::save {

// FOLDER/manifest.json lists the other files with their sizes and checksums; FOLDER/NAME.safetensors for each group of
// tensors, FOLDER/NAME as it is for each text (state.json). Names consist of letters, digits, '_', '-' and '.'.
struct Checkpoint {
  std::vector<std::pair<std::string, std::vector<NamedTensor>>> tensors;
  std::vector<std::pair<std::string, std::string>> texts;
};

// Everything is on the disk before the folder appears under its name; a folder that was there is replaced in the
// same step, and stays as it was if anything fails. Error{usage} for a bad name, Error{io} for the rest.
void write_checkpoint(const std::string& folder, const Checkpoint& checkpoint);
// The manifest of a folder whose files are those that were written, by size and checksum. Error{io} for a folder
// without manifest, of a newer format, or with a listed file missing or damaged: the message names the file, and the
// tensor. Files that the manifest does not list are not looked at.
std::vector<ManifestRow> check_checkpoint(const std::string& folder);
// Checks and reads.
Checkpoint read_checkpoint(const std::string& folder, bool map = false);

}  // namespace trainhost::save
