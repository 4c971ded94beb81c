// The checks of torch.serialization's deserializers.
#include "host/save/location.h"

#include <cctype>

#include "host/base/error.h"
#include "host/tensor/cuda.h"

namespace trainhost::save {

at::Device device_of(const std::string& location) {
  if (location == "cpu") return at::kCPU;
  if (location == "meta") return at::kMeta;
  if (location == "cuda" || location.starts_with("cuda:")) {
    const std::string number = location.substr(std::min<size_t>(5, location.size()));
    int index = 0;
    for (const char c : number) {
      if (!std::isdigit(static_cast<unsigned char>(c)) || index > 1000)
        throw Error(ErrorKind::device, "Invalid device string: '" + location + "'");
      index = 10 * index + (c - '0');
    }
    tensor::load_cuda();
    if (!tensor::cuda_is_available())
      throw Error(ErrorKind::device,
                  "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you "
                  "are running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to "
                  "map your storages to the CPU.",
                  "torch.load(path, {map_location = \"cpu\"})");
    if (index >= tensor::cuda_device_count())
      throw Error(ErrorKind::device, "Attempting to deserialize object on CUDA device " + std::to_string(index) +
                                         " but torch.cuda.device_count() is " +
                                         std::to_string(tensor::cuda_device_count()) +
                                         ". Please use torch.load with map_location to map your storages to an "
                                         "existing device.");
    return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
  }
  throw Error(ErrorKind::device,
              "don't know how to restore data location of torch.storage.UntypedStorage (tagged with " +
                  location.substr(0, 80) + ")");
}

}  // namespace trainhost::save
