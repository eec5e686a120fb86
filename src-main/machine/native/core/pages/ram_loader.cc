// SPDX-License-Identifier: Apache-2.0
#include "core/pages/ram_loader.h"

#include <endian.h>

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/wire.h"
#include "core/pages/page_copy.h"
#include "core/pages/xbzrle.h"
#include "core/pages/zero_scan.h"

namespace godwit {
namespace {

constexpr std::uint64_t kFlagMask = kPageSize - 1;
static_assert(kPageSize == wire::kTargetPageSize);

/// zlib's compressBound() of a page: no deflate of a page at any level is longer.
constexpr std::uint32_t kMaxCompressedPage = kPageSize + (kPageSize >> 12) + (kPageSize >> 14) + 13;

constexpr std::pair<std::uint64_t, std::string_view> kFlagNames[] = {
    {wire::kRamFlagFull, "FULL"},         {wire::kRamFlagZero, "ZERO"},
    {wire::kRamFlagMemSize, "MEM_SIZE"},  {wire::kRamFlagPage, "PAGE"},
    {wire::kRamFlagEos, "EOS"},           {wire::kRamFlagContinue, "CONTINUE"},
    {wire::kRamFlagXbzrle, "XBZRLE"},     {wire::kRamFlagHook, "HOOK"},
    {wire::kRamFlagCompressPage, "COMPRESS_PAGE"}, {wire::kRamFlagMultifdFlush, "MULTIFD_FLUSH"},
};

std::string hex(std::uint64_t value) {
  std::array<char, 19> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
  return text.data();
}

/// `0x28 = PAGE|CONTINUE`.
std::string describe_flags(std::uint64_t flags) {
  std::string names;
  for (const auto& [flag, name] : kFlagNames) {
    if ((flags & flag) == 0) continue;
    if (!names.empty()) names += '|';
    names += name;
  }
  return names.empty() ? hex(flags) : hex(flags) + " = " + names;
}

/// A name that a peer chose, fit for a message: what is not printable ASCII is replaced.
std::string printable(std::string_view name) {
  std::string text;
  for (const char c : name) text += c >= 0x20 && c < 0x7f ? c : '?';
  return text;
}

/// Only the thread that loads writes the counters. A locked addition would wait until the stores of the page before it
/// have left the processor: measured, a quarter of the time that a page takes.
void add_one(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Result<std::shared_ptr<RamLoader>> RamLoader::create(std::vector<RamLoaderBlock> blocks, RamLoaderOptions options) {
  std::set<std::string_view> names;
  for (const RamLoaderBlock& block : blocks) {
    if (!block.memory && !options.statistics) return Failure::invalid("RAM block '" + block.name + "' has no memory");
    if (!names.insert(block.name).second) return Failure::invalid("Two RAM blocks are named '" + block.name + "'");
    const std::uint64_t room = block.memory ? block.memory->size() : ~std::uint64_t{0};
    if (block.used_bytes > room || block.used_bytes % kPageSize != 0) {
      return Failure::invalid("The used length of RAM block '" + block.name + "', " +
                              std::to_string(block.used_bytes) + " bytes, does not fit its memory of " +
                              std::to_string(room) + " bytes");
    }
  }
  return std::shared_ptr<RamLoader>(new RamLoader(std::move(blocks), options));
}

RamLoader::RamLoader(std::vector<RamLoaderBlock> blocks, RamLoaderOptions options)
    : blocks_(std::move(blocks)), options_(options) {
  if (!options.statistics) return;
  std::vector<std::uint64_t> pages;
  for (const RamLoaderBlock& block : blocks_) pages.push_back(block.used_bytes / kPageSize);
  statistics_ = std::make_unique<RamStatistics>(pages);
}

Result<RamRecordEnd> RamLoader::load(InputBuffer& input, RamRecordSource source) {
  if (loading_.exchange(true, std::memory_order_acquire)) {
    return Failure{EBUSY, "", "Another channel is loading RAM through this loader"};
  }
  if (source.channel != channel_) {
    previous_of_others_[channel_] = previous_;
    channel_ = source.channel;
    previous_ = previous_of_others_[channel_];
  }
  Result<RamRecordEnd> end = load_records(input, source.bare);
  finish_page_copies();
  loading_.store(false, std::memory_order_release);
  return end;
}

Result<RamRecordEnd> RamLoader::load_records(InputBuffer& input, bool bare) {
  for (;;) {
    if (bare) {
      const Result<bool> end = input.at_end();
      if (!end) return end.failure();
      if (*end) return RamRecordEnd{RamRecordEnd::Kind::kEos, 0};
    }
    const Result<Head> head = read_head(input);
    if (!head) return head.failure();
    // Page records are nearly all there is: known combinations first.
    const std::uint64_t form = head->flags & ~wire::kRamFlagContinue;
    if (form == wire::kRamFlagPage || form == wire::kRamFlagZero) {
      if (Status loaded = load_page(input, *head); !loaded.ok()) return std::move(loaded).failure();
    } else if (form == wire::kRamFlagXbzrle && options_.xbzrle) {
      if (Status loaded = load_xbzrle(input, *head); !loaded.ok()) return std::move(loaded).failure();
    } else if (form == wire::kRamFlagCompressPage && options_.compressed) {
      return announce_compressed(input, *head);
    } else {
      return end_of_run(input, *head);
    }
  }
}

Result<RamLoader::Head> RamLoader::read_head(InputBuffer& input) {
  std::uint64_t word = 0;
  if (Status there = input.require(sizeof word); !there.ok()) return std::move(there).failure();
  std::memcpy(&word, input.data(), sizeof word);
  word = be64toh(word);
  const Head head{word & ~kFlagMask, word & kFlagMask, input.position()};
  input.consume(sizeof word);
  return head;
}

Result<RamLoader::Target> RamLoader::target_of(InputBuffer& input, const Head& head) {
  const Result<const RamLoaderBlock*> found = block_of(input, head);
  if (!found) return found.failure();
  const RamLoaderBlock& block = **found;
  if (head.offset >= block.used_bytes) {
    return refuse(head, "the block ends at " + hex(block.used_bytes), &block);
  }
  std::uint8_t* const page = block.memory ? block.memory->data() + head.offset : dropped_.data();
  return Target{&block, std::span<std::uint8_t, kPageSize>(page, kPageSize)};
}

Status RamLoader::load_page(InputBuffer& input, const Head& head) {
  const Result<Target> target = target_of(input, head);
  if (!target) return target.failure();
  if ((head.flags & wire::kRamFlagZero) != 0) return load_zero(input, head, *target);
  if (Status there = input.require(kPageSize); !there.ok()) return there;
  copy_page(target->page.data(), input.data());
  input.consume(kPageSize);
  add_one(normal_pages_);
  count(head, *target->block, RamPageForm::kNormal);
  return success();
}

Status RamLoader::load_zero(InputBuffer& input, const Head& head, const Target& target) {
  if (Status there = input.require(1); !there.ok()) return there;
  const std::uint8_t fill = *input.data();
  input.consume(1);
  const bool fresh = count(head, *target.block, RamPageForm::kZero);
  // A page that is zero already is left alone: writing it would give a hole its memory, and cost the time. Even
  // looking at a hole gives it memory, so one that nothing was written to is not looked at.
  if (fill != 0 || (!fresh && !is_zero_page(target.page.data()))) std::memset(target.page.data(), fill, kPageSize);
  add_one(zero_pages_);
  return success();
}

Status RamLoader::load_xbzrle(InputBuffer& input, const Head& head) {
  const Result<Target> target = target_of(input, head);
  if (!target) return target.failure();
  constexpr std::size_t kHeadBytes = 3;
  if (Status there = input.require(kHeadBytes); !there.ok()) return there;
  const std::uint8_t encoding = input.data()[0];
  const std::size_t length = std::size_t{input.data()[1]} << 8 | input.data()[2];
  if (encoding != kXbzrleEncoding) {
    return refuse(head, "encoding " + std::to_string(encoding) + " does not exist", target->block);
  }
  if (length > kPageSize) return refuse(head, "a delta of " + std::to_string(length) + " bytes", target->block);
  input.consume(kHeadBytes);
  if (Status there = input.require(length); !there.ok()) return there;
  if (const char* const problem = apply_xbzrle({input.data(), length}, target->page); problem != nullptr) {
    return refuse(head, problem, target->block);
  }
  input.consume(length);
  count(head, *target->block, RamPageForm::kXbzrle);
  return success();
}

Result<RamRecordEnd> RamLoader::announce_compressed(InputBuffer& input, const Head& head) {
  const Result<Target> target = target_of(input, head);
  if (!target) return target.failure();
  std::uint32_t length = 0;
  if (Status there = input.require(sizeof length); !there.ok()) return std::move(there).failure();
  std::memcpy(&length, input.data(), sizeof length);
  length = be32toh(length);
  if (length == 0 || length > kMaxCompressedPage) {
    return refuse(head, "a compressed page of " + std::to_string(length) + " bytes", target->block);
  }
  input.consume(sizeof length);
  count(head, *target->block, RamPageForm::kCompressed);
  return RamRecordEnd{RamRecordEnd::Kind::kCompressedPage, head.offset, length, target->block->name};
}

bool RamLoader::count(const Head& head, const RamLoaderBlock& block, RamPageForm form) {
  if (!statistics_) return false;
  const auto index = static_cast<std::size_t>(&block - blocks_.data());
  return statistics_->count(index, head.offset / kPageSize, form);
}

Result<const RamLoaderBlock*> RamLoader::block_of(InputBuffer& input, const Head& head) {
  if ((head.flags & wire::kRamFlagContinue) != 0) {
    if (previous_ == nullptr) return refuse(head, "it continues a block, but no record before it named one");
    return previous_;
  }
  const Result<std::string> name = read_name(input);
  if (!name) return name.failure();
  for (const RamLoaderBlock& block : blocks_) {
    if (block.name == *name) return previous_ = &block;
  }
  previous_ = nullptr;
  return refuse(head, "this machine has no RAM block '" + printable(*name) + "'");
}

Result<std::string> RamLoader::read_name(InputBuffer& input) {
  if (Status there = input.require(1); !there.ok()) return std::move(there).failure();
  const std::size_t length = *input.data();
  if (Status there = input.require(1 + length); !there.ok()) return std::move(there).failure();
  std::string name(reinterpret_cast<const char*>(input.data()) + 1, length);
  input.consume(1 + length);
  return name;
}

/// What a record that is not a plain page means. Everything but four flags, each alone, is refused.
Result<RamRecordEnd> RamLoader::end_of_run(InputBuffer& input, const Head& head) {
  constexpr std::uint64_t kBodies =
      wire::kRamFlagZero | wire::kRamFlagPage | wire::kRamFlagXbzrle | wire::kRamFlagCompressPage;
  constexpr std::uint64_t kKnown = (wire::kRamFlagMultifdFlush << 1) - 1;
  if (head.flags == wire::kRamFlagMemSize) return RamRecordEnd{RamRecordEnd::Kind::kMemSize, head.offset};
  const bool marker = head.flags == wire::kRamFlagEos || head.flags == wire::kRamFlagMultifdFlush ||
                      head.flags == wire::kRamFlagHook;
  if (marker && head.offset != 0) return refuse(head, "a marker has no offset");
  if (head.flags == wire::kRamFlagEos) return RamRecordEnd{RamRecordEnd::Kind::kEos, 0};
  if (head.flags == wire::kRamFlagMultifdFlush) return RamRecordEnd{RamRecordEnd::Kind::kMultifdFlush, 0};
  if (head.flags == wire::kRamFlagHook) return RamRecordEnd{RamRecordEnd::Kind::kHook, 0};

  const std::uint64_t kind = head.flags & ~wire::kRamFlagContinue;
  if (kind == wire::kRamFlagXbzrle || kind == wire::kRamFlagCompressPage) {
    const Result<const RamLoaderBlock*> block = block_of(input, head);
    if (!block) return block.failure();
    const char* const capability = kind == wire::kRamFlagXbzrle ? "xbzrle" : "compress";
    return refuse(head, std::string("turn the ") + capability + " capability off at the source", *block);
  }
  if ((kind & ~kKnown) != 0) return refuse(head, "there is no such flag");
  if (std::popcount(kind & kBodies) > 1) return refuse(head, "the page formats exclude each other");
  return refuse(head, "these flags do not form a record");
}

Failure RamLoader::refuse(const Head& head, const std::string& reason, const RamLoaderBlock* block) const {
  std::string where = "RAM record at byte " + std::to_string(head.position) + " of the stream (flags " +
                      describe_flags(head.flags) + ", offset " + hex(head.offset);
  if (block != nullptr) where += ", block '" + block->name + "'";
  return Failure::protocol("Unable to load the " + where + "): " + reason);
}

}  // namespace godwit
