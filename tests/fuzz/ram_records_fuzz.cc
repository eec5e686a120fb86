// SPDX-License-Identifier: Apache-2.0
// RAM records, arbitrary, into blocks of a few pages. They are loaded twice, in one piece and in chunks that the input
// chooses: both must come to the same end with the same memory, and nothing beyond a block's used length may change.
//
//   input := chunking (3 bytes), options (1 byte), records
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/pages/ram_loader.h"
#include "fuzz_tools.h"

namespace godwit::fuzz {
namespace {

struct Shape {
  std::string name;
  std::uint64_t pages;
  std::uint64_t used_pages;
};

const std::array<Shape, 4> kShapes = {
    Shape{"ram", 8, 8}, Shape{"microvm.ram", 4, 3}, Shape{"pc.bios", 1, 1}, Shape{std::string(255, 'n'), 2, 0}};

/// What was loaded, and how it ended.
struct Loaded {
  std::string ending;
  std::uint64_t position = 0;
  std::uint64_t normal_pages = 0;
  std::uint64_t zero_pages = 0;
};

class Memory {
 public:
  Memory() {
    for (const Shape& shape : kShapes) {
      GuestMemoryOptions options;
      options.name = shape.name;
      options.size = shape.pages * kPageSize;
      blocks_.push_back({shape.name, *GuestMemory::create(options), shape.used_pages * kPageSize});
    }
  }

  /// All zero, but a mark behind the used length.
  void reset() {
    for (const RamLoaderBlock& block : blocks_) {
      std::memset(block.memory->data(), 0, block.used_bytes);
      std::memset(block.memory->data() + block.used_bytes, kMark, block.memory->size() - block.used_bytes);
    }
  }
  void check_marks() const {
    for (const RamLoaderBlock& block : blocks_) {
      for (std::uint64_t at = block.used_bytes; at < block.memory->size(); ++at) {
        FUZZ_CHECK(block.memory->data()[at] == kMark);
      }
    }
  }
  bool operator==(const Memory& other) const {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const GuestMemory& memory = *blocks_[i].memory;
      if (std::memcmp(memory.data(), other.blocks_[i].memory->data(), memory.size()) != 0) return false;
    }
    return true;
  }
  const std::vector<RamLoaderBlock>& blocks() const { return blocks_; }

 private:
  static constexpr std::uint8_t kMark = 0xa5;
  std::vector<RamLoaderBlock> blocks_;
};

/// Loads run after run, as the destination does, until the bytes end or are refused.
Loaded load_all(Memory& memory, ByteSpan bytes, const Chunking& chunking, const RamLoaderOptions& options) {
  memory.reset();
  BytePeer peer(bytes, chunking);
  InputBuffer input(peer, no_interrupt());
  const std::shared_ptr<RamLoader> loader = *RamLoader::create(memory.blocks(), options);
  std::string ending;
  for (;;) {
    const Result<RamRecordEnd> end = loader->load(input);
    FUZZ_CHECK(input.position() <= bytes.size());
    if (!end) {
      FUZZ_CHECK(end.failure().code == EPROTO || end.failure().code == Failure::kEndOfStream);
      for (const char c : end.failure().message) FUZZ_CHECK(c >= 0x20 && c < 0x7f);
      // How much is missing at the end of the bytes depends on what was asked for at once.
      ending += end.failure().code == EPROTO ? end.failure().message : "end";
      break;
    }
    ending += std::to_string(static_cast<int>(end->kind)) + ":" + std::to_string(end->value) + " ";
    std::vector<std::uint8_t> body(end->length);
    if (!input.read(body).ok()) break;
  }
  memory.check_marks();
  if (const RamStatistics* const counted = loader->statistics()) {
    for (std::size_t i = 0; i < kShapes.size(); ++i) FUZZ_CHECK(counted->block(i).pages <= kShapes[i].used_pages);
  }
  return {ending, input.position(), loader->normal_pages(), loader->zero_pages()};
}

void run(ByteSpan bytes) {
  static Memory whole_memory;
  static Memory chunked_memory;
  Script script(bytes);
  Chunking chunking;
  chunking.max_bytes = 1 + script.word(2);
  chunking.seed = script.byte();
  const std::uint8_t bits = script.byte();
  chunking.hesitates = (bits & 8) != 0;
  const RamLoaderOptions options{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
  const Loaded whole = load_all(whole_memory, script.rest(), {}, options);
  const Loaded chunked = load_all(chunked_memory, script.rest(), chunking, options);
  FUZZ_CHECK(whole.ending == chunked.ending);
  FUZZ_CHECK(whole.normal_pages == chunked.normal_pages);
  FUZZ_CHECK(whole.zero_pages == chunked.zero_pages);
  // Of a page that was cut off, as much is there as had come: up to then both are the same.
  if (!whole.ending.ends_with("end")) FUZZ_CHECK(whole.position == chunked.position && whole_memory == chunked_memory);
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  godwit::fuzz::run({data, size});
  return 0;
}
