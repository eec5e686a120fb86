// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "ram_tools.h"

namespace godwit::test {
namespace {

using namespace std::chrono_literals;

/// A tracker whose dirty pages the test decides.
class FakeTracker final : public DirtyTracker {
 public:
  Status start() override {
    if (fail_start) return Failure::invalid("no tracking today");
    ++running;
    return success();
  }
  Status collect(std::span<std::uint64_t> bitmap) override {
    std::lock_guard lock(mutex_);
    for (const std::uint64_t page : written_) bitmap[page / 64] |= std::uint64_t{1} << (page % 64);
    written_.clear();
    return success();
  }
  Status stop() override {
    --running;
    return success();
  }
  void written(std::uint64_t page) {
    std::lock_guard lock(mutex_);
    written_.push_back(page);
  }

  bool fail_start = false;
  int running = 0;

 private:
  std::mutex mutex_;
  std::vector<std::uint64_t> written_;
};

RamSendResult send(RamSaver& saver, Channel& channel, const RamSendBudget& budget = {}) {
  const Result<RamSendResult> result = saver.send(channel, budget, saver.epoch());
  REQUIRE(result.ok());
  return *result;
}

Bytes flushed(Channel& channel, Captured& captured) {
  REQUIRE(flush(channel).get().ok());
  return captured.take();
}

TEST_CASE("a pass sends every page once, in order, naming a block only when it changes") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto ram = make_memory("microvm.ram", 300 + random() % 900);
    const auto rom = make_memory("pc.bios", 1 + random() % 70);
    fill_pages(*ram, random);
    fill_pages(*rom, random);
    const auto saver = make_saver({{"microvm.ram", ram, nullptr}, {"pc.bios", rom, nullptr}});
    REQUIRE(saver->start().ok());
    CHECK(saver->dirty_pages() == ram->pages() + rom->pages());

    auto [channel, captured] = capturing_channel(1 + random() % 100'000, seed);
    const RamSendResult result = send(*saver, *channel);
    const Bytes bytes = flushed(*channel, *captured);
    const std::vector<Record> records = decode(bytes);
    CHECK(result.pass_done);
    CHECK(result.bytes == bytes.size());
    CHECK(result.normal_pages + result.zero_pages == records.size());
    CHECK(saver->dirty_pages() == 0);

    REQUIRE(records.size() == ram->pages() + rom->pages());
    bool in_order = true;
    for (std::size_t i = 0; i < records.size(); ++i) {
      const bool in_rom = i >= ram->pages();
      const std::uint64_t page = in_rom ? i - ram->pages() : i;
      const std::string name = i == 0 ? "microvm.ram" : i == ram->pages() ? "pc.bios" : "";
      in_order = in_order && records[i].offset == page * kPageSize && records[i].name == name;
    }
    CHECK(in_order);
    std::map<std::string, Bytes> copy{{"microvm.ram", Bytes(ram->size(), 1)}, {"pc.bios", Bytes(rom->size(), 1)}};
    apply_records(records, copy);
    CHECK(copy["microvm.ram"] == contents(*ram));
    CHECK(copy["pc.bios"] == contents(*rom));
    // The pass is over: nothing more without a sync.
    const RamSendResult again = send(*saver, *channel);
    CHECK(again.bytes == 0);
    CHECK(again.pass_done);
  }
}

TEST_CASE("sync adds what the guest and this process wrote, counts it, and starts again at the first block") {
  const auto ram = make_memory("ram", 200);
  const auto tracker = std::make_shared<FakeTracker>();
  const auto saver = make_saver({{"ram", ram, tracker}});
  REQUIRE(saver->start().ok());
  CHECK(tracker->running == 1);
  auto [channel, captured] = capturing_channel(10'000, 1);
  send(*saver, *channel);
  flushed(*channel, *captured);
  REQUIRE(saver->sync().ok());  // what creating the memory may have marked
  send(*saver, *channel);
  flushed(*channel, *captured);

  tracker->written(7);
  tracker->written(150);
  const Bytes word{1, 2, 3};
  REQUIRE(ram->write(7 * kPageSize, word).ok());
  REQUIRE(ram->write(199 * kPageSize, word).ok());
  CHECK(*saver->sync() == 3);
  CHECK(saver->dirty_pages() == 3);
  tracker->written(7);
  CHECK(*saver->sync() == 0);  // dirty already
  const RamSendResult result = send(*saver, *channel);
  CHECK(result.pass_done);
  const std::vector<Record> records = decode(flushed(*channel, *captured));
  REQUIRE(records.size() == 3);
  CHECK(records[0].offset == 7 * kPageSize);
  CHECK(records[1].offset == 150 * kPageSize);
  CHECK(records[2].offset == 199 * kPageSize);
  CHECK(records[0].continues());  // of the same channel's last record, a section earlier
  CHECK(saver->stop().ok());
  CHECK(tracker->running == 0);
}

TEST_CASE("bits past the last page are not pages") {
  const auto ram = make_memory("ram", 70);
  const auto tracker = std::make_shared<FakeTracker>();
  const auto saver = make_saver({{"ram", ram, tracker}});
  REQUIRE(saver->start().ok());
  auto [channel, captured] = capturing_channel(10'000, 1);
  send(*saver, *channel);
  REQUIRE(saver->sync().ok());
  send(*saver, *channel);
  for (std::uint64_t page = 70; page < 128; ++page) tracker->written(page);
  CHECK(*saver->sync() == 0);
  CHECK(send(*saver, *channel).bytes == 0);
}

TEST_CASE("each channel is told the block's name by its first record") {
  const auto ram = make_memory("ram", 64);
  const auto saver = make_saver({{"ram", ram, nullptr}});
  REQUIRE(saver->start().ok());
  RamSendBudget one_record;
  one_record.bytes = 1;
  auto [first, first_captured] = capturing_channel(100, 1);
  auto [second, second_captured] = capturing_channel(100, 2);
  send(*saver, *first, one_record);
  send(*saver, *first, one_record);
  send(*saver, *second, one_record);
  send(*saver, *first, one_record);
  const auto of_first = decode(flushed(*first, *first_captured));
  const auto of_second = decode(flushed(*second, *second_captured));
  REQUIRE(of_first.size() == 3);
  REQUIRE(of_second.size() == 1);
  CHECK(of_first[0].name == "ram");
  CHECK(of_first[1].continues());
  CHECK(of_second[0].name == "ram");
  CHECK(of_first[2].name == "ram");
}

TEST_CASE("a byte budget ends a send after the record that reaches it, and the next goes on from there") {
  std::mt19937_64 random(4);
  const auto ram = make_memory("ram", 500);
  fill_pages(*ram, random);
  const auto saver = make_saver({{"ram", ram, nullptr}});
  REQUIRE(saver->start().ok());
  auto [channel, captured] = capturing_channel(50'000, 4);
  RamSendBudget none;
  none.bytes = 0;
  CHECK(send(*saver, *channel, none).bytes == 0);
  std::uint64_t total = 0;
  for (bool done = false; !done;) {
    RamSendBudget budget;
    budget.bytes = 1 + random() % 20'000;
    const RamSendResult result = send(*saver, *channel, budget);
    CHECK(result.bytes < budget.bytes + 8 + 4 + kPageSize);
    if (!result.pass_done) CHECK(result.bytes >= budget.bytes);
    total += result.bytes;
    done = result.pass_done;
  }
  const Bytes bytes = flushed(*channel, *captured);
  CHECK(bytes.size() == total);
  std::map<std::string, Bytes> copy{{"ram", Bytes(ram->size(), 1)}};
  const auto records = decode(bytes);
  CHECK(records.size() == ram->pages());
  apply_records(records, copy);
  CHECK(copy["ram"] == contents(*ram));
}

/// 64 MiB of pages that are not zero: far more than a channel takes without a reader.
std::shared_ptr<GuestMemory> large_memory() {
  const auto ram = make_memory("ram", 16384);
  for (std::uint64_t page = 0; page < ram->pages(); ++page) ram->data()[page * kPageSize] = 1;
  return ram;
}

TEST_CASE("a time budget ends a send to a reader that does not read, and nothing is lost") {
  const auto ram = large_memory();
  const auto saver = make_saver({{"ram", ram, nullptr}});
  REQUIRE(saver->start().ok());
  auto [near, far] = channel_pair();
  const Clock::time_point start = Clock::now();
  RamSendBudget budget;
  budget.deadline = start + 40ms;
  const RamSendResult blocked = send(*saver, *near, budget);
  CHECK(since(start) >= 40ms);
  CHECK(since(start) < 40ms + kCancelLimit);
  CHECK_FALSE(blocked.pass_done);
  CHECK(blocked.normal_pages + saver->dirty_pages() == ram->pages());

  const auto copy = make_memory("ram", ram->pages());
  const auto loader = make_loader({{"ram", copy, copy->size()}});
  auto loading = begin<RamRecordEnd>([&, &reader = far](Completion<RamRecordEnd> done) {
    reader->use_input<RamRecordEnd>(
        "loadRam", [loader](InputBuffer& input) { return loader->load(input); }, std::move(done));
  });
  CHECK(send(*saver, *near).pass_done);
  near->output().append(eos());
  REQUIRE(loading.get().ok());
  CHECK(equal(*ram, *copy));
  CHECK(loader->normal_pages() == ram->pages());
}

TEST_CASE("cancel makes a send that waits for room return within 100 ms, with what it sent") {
  const auto ram = large_memory();
  const auto saver = make_saver({{"ram", ram, nullptr}});
  REQUIRE(saver->start().ok());
  auto [near, far] = channel_pair();
  const std::uint64_t epoch = saver->epoch();
  auto sending =
      std::async(std::launch::async, [&, &channel = near] { return saver->send(*channel, RamSendBudget{}, epoch); });
  CHECK(sending.wait_for(30ms) == std::future_status::timeout);
  const Clock::time_point start = Clock::now();
  saver->cancel();
  const Result<RamSendResult> result = sending.get();
  CHECK(since(start) < kCancelLimit);
  REQUIRE(result.ok());
  CHECK_FALSE(result->pass_done);
  CHECK(result->normal_pages + saver->dirty_pages() == ram->pages());
  // One asked for before the cancel but not yet begun sends nothing; one asked for later sends.
  CHECK(saver->send(*near, RamSendBudget{}, epoch)->bytes == 0);
}

TEST_CASE("a send on a broken channel fails, and the pages that did not get onto it stay dirty") {
  const auto ram = large_memory();
  for (const bool while_sending : {false, true}) {
    CAPTURE(while_sending);
    const auto saver = make_saver({{"ram", ram, nullptr}});
    REQUIRE(saver->start().ok());
    auto [near, far] = channel_pair();
    auto sending = std::async(std::launch::async, [&, &channel = near] {
      if (!while_sending) channel->shutdown();
      return saver->send(*channel, RamSendBudget{}, saver->epoch());
    });
    if (while_sending) {
      CHECK(sending.wait_for(20ms) == std::future_status::timeout);
      far->close();
    }
    const Result<RamSendResult> result = sending.get();
    REQUIRE_FALSE(result.ok());
    const int code = result.failure().code;
    CHECK((while_sending ? code == EPIPE || code == ECONNRESET : code == ECANCELED));
    // A new channel gets every page that is still marked, starting with the block's name.
    const std::uint64_t left = saver->dirty_pages();
    if (!while_sending) CHECK(left == ram->pages());
    auto [channel, captured] = capturing_channel(1 << 20, 1);
    CHECK(send(*saver, *channel).normal_pages == left);
    const auto records = decode(flushed(*channel, *captured));
    CHECK(records.size() == left);
    CHECK(records.at(0).name == "ram");
  }
}

/// A store as a vCPU makes it: unseen by the compiler and by the sanitizers, at any moment.
__attribute__((no_sanitize("thread", "address"))) void guest_store(std::uint8_t* at, std::uint64_t value) {
  *reinterpret_cast<volatile std::uint64_t*>(at) = value;
}

TEST_CASE("memory that is written while it is sent arrives whole after a last pass") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto ram = make_memory("ram", 2000);
    const auto copy = make_memory("ram", 2000);
    fill_pages(*ram, random);
    fill_pages(*copy, random);
    const auto tracker = std::make_shared<FakeTracker>();
    const auto saver = make_saver({{"ram", ram, tracker}});
    const auto loader = make_loader({{"ram", copy, copy->size()}});
    auto [near, far] = channel_pair();
    auto loading = begin<RamRecordEnd>([&, &reader = far](Completion<RamRecordEnd> done) {
      reader->use_input<RamRecordEnd>(
          "loadRam", [loader](InputBuffer& input) { return loader->load(input); }, std::move(done));
    });
    REQUIRE(saver->start().ok());
    std::atomic<bool> stop = false;
    std::thread guest([&] {
      std::mt19937_64 choice(seed * 7);
      while (!stop.load()) {
        const std::uint64_t page = choice() % ram->pages();
        guest_store(ram->data() + page * kPageSize + choice() % 512 * 8, choice() % 2 == 0 ? 0 : choice());
        tracker->written(page);  // after the store, as hardware marks it no later than it shows
        std::this_thread::yield();
      }
    });
    for (int pass = 0; pass < 5; ++pass) {
      while (!send(*saver, *near).pass_done) {
      }
      REQUIRE(saver->sync().ok());
    }
    stop = true;
    guest.join();
    REQUIRE(saver->sync().ok());
    CHECK(send(*saver, *near).pass_done);
    near->output().append(eos());
    REQUIRE(loading.get().ok());
    CHECK(equal(*ram, *copy));
  }
}

TEST_CASE("when one tracker cannot start, those started before are stopped") {
  const auto first = std::make_shared<FakeTracker>();
  const auto second = std::make_shared<FakeTracker>();
  second->fail_start = true;
  const auto saver = make_saver({{"a", make_memory("a", 1), first}, {"b", make_memory("b", 1), second}});
  const Status started = saver->start();
  REQUIRE_FALSE(started.ok());
  CHECK(started.failure().message == "no tracking today");
  CHECK(first->running == 0);
}

TEST_CASE("the longest names and many small blocks fit, and bad names are refused") {
  std::vector<RamSaverBlock> blocks;
  std::map<std::string, Bytes> copy;
  for (int i = 0; i < 300; ++i) {
    std::string name = std::to_string(i);
    name.insert(0, 255 - name.size(), 'n');
    const auto memory = make_memory(name, 1);
    if (i % 2 == 0) memory->data()[i] = 1;
    copy[name] = Bytes(kPageSize, 9);
    blocks.push_back({name, memory, nullptr});
  }
  const auto saver = make_saver(blocks);
  REQUIRE(saver->start().ok());
  auto [channel, captured] = capturing_channel(9'000, 1);
  CHECK(send(*saver, *channel).pass_done);
  apply_records(decode(flushed(*channel, *captured)), copy);
  bool all_equal = true;
  for (const RamSaverBlock& block : blocks) all_equal = all_equal && copy[block.name] == contents(*block.memory);
  CHECK(all_equal);

  const auto memory = make_memory("m", 1);
  CHECK_FALSE(RamSaver::create({{"", memory, nullptr}}).ok());
  CHECK_FALSE(RamSaver::create({{std::string(256, 'n'), memory, nullptr}}).ok());
  CHECK_FALSE(RamSaver::create({{"a", nullptr, nullptr}}).ok());
  CHECK_FALSE(RamSaver::create({{"a", memory, nullptr}, {"a", memory, nullptr}}).ok());
}

}  // namespace
}  // namespace godwit::test
