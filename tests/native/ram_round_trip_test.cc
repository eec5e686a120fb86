// SPDX-License-Identifier: Apache-2.0
// Saver to loader over real sockets.
#include <doctest/doctest.h>
#include <unistd.h>

#include "core/channels/connect.h"
#include "core/channels/listener.h"
#include "ram_tools.h"

namespace godwit::test {
namespace {

using Pair = std::pair<std::shared_ptr<Channel>, std::shared_ptr<Channel>>;

Pair pair_over(const SocketTarget& target) {
  const auto cancel = *Interrupt::create();
  const auto listener = *Listener::open(target);
  auto near = adopt(*connect_socket(listener->address(), *cancel));
  return {near, adopt(*listener->accept(*cancel))};
}

void check_round_trip(const Pair& channels, std::uint64_t seed) {
  const auto& [near, far] = channels;
  std::mt19937_64 random(seed);
  const auto ram = make_memory("microvm.ram", 1500 + random() % 1000);
  const auto rom = make_memory("pc.bios", 32);
  const auto ram_copy = make_memory("microvm.ram", ram->pages());
  const auto rom_copy = make_memory("pc.bios", rom->pages());
  for (const auto& memory : {ram, rom, ram_copy, rom_copy}) fill_pages(*memory, random);
  const auto saver = make_saver({{"microvm.ram", ram, nullptr}, {"pc.bios", rom, nullptr}});
  const auto loader =
      make_loader({{"microvm.ram", ram_copy, ram_copy->size()}, {"pc.bios", rom_copy, rom_copy->size()}});
  REQUIRE(saver->start().ok());
  const Bytes head{1, 2, 3, 4, 5};
  for (bool done = false; !done;) {
    // One section: head, records, EOS, foot. Small buffers and page batches take turns in the FIFO.
    near->output().append(head);
    auto headed = read(*far, head.size());
    RamSendBudget budget;
    budget.bytes = 1 + random() % (4 << 20);
    const Result<RamSendResult> sent = saver->send(*near, budget, saver->epoch());
    REQUIRE(sent.ok());
    near->output().append(eos());
    near->output().append(head);
    REQUIRE(headed.get().ok());
    const Result<RamRecordEnd> end = begin<RamRecordEnd>([&, &reader = far](Completion<RamRecordEnd> finished) {
                                       reader->use_input<RamRecordEnd>(
                                           "loadRam", [loader](InputBuffer& input) { return loader->load(input); },
                                           std::move(finished));
                                     }).get();
    REQUIRE(end.ok());
    CHECK(*read(*far, head.size()).get() == head);
    done = sent->pass_done;
  }
  CHECK(equal(*ram, *ram_copy));
  CHECK(equal(*rom, *rom_copy));
  REQUIRE(flush(*near).get().ok());
  CHECK(near->output().written() == far->bytes_read());
}

TEST_CASE("memory arrives bit for bit over a socket pair, a unix socket and tcp") {
  const std::string path = "/tmp/godwit-round-trip-" + std::to_string(::getpid());
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    check_round_trip(channel_pair(), seed);
    check_round_trip(pair_over(UnixTarget{path}), seed);
    check_round_trip(pair_over(TcpTarget{"127.0.0.1", 0}), seed);
  }
}

}  // namespace
}  // namespace godwit::test
