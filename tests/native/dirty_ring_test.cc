// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "tracker_properties.h"

namespace godwit::test {
namespace {

constexpr std::uint32_t kRoomy = 4096;

/// The smallest that this KVM takes: 256 where it reserves little, 1024 with page modification logging.
std::uint32_t tiny() {
  static const std::uint32_t size = [] {
    for (const std::uint32_t entries : {256u, 512u, 1024u}) {
      auto memory = GuestMemory::create({.name = "test.ram", .size = kMiB});
      REQUIRE(memory.ok());
      VmOptions options;
      options.memory = *memory;
      options.slots = {{0, 0, kMiB}};
      options.dirty_ring_size = entries;
      if (Vm::create(std::move(options)).ok()) return entries;
    }
    FAIL("this KVM takes no dirty ring");
    return 0u;
  }();
  return size;
}

std::uint64_t full_exits(const Machine& machine) {
  std::uint64_t sum = 0;
  for (const RingCounts& counts : machine.vm->ring_counts()) sum += counts.full_exits;
  return sum;
}

/// Calls something over and over on a thread of its own.
class Meanwhile {
 public:
  template <typename Job>
  explicit Meanwhile(Job job) : thread_([this, job] {
          while (!over_.load()) job();
        }) {}
  ~Meanwhile() {
    over_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

TEST_CASE("the dirty ring holds exactly the pages that the guest wrote, in every slot") {
  reports_exactly_what_was_written(kRoomy);
  reports_exactly_what_was_written(tiny());
}

TEST_CASE("pages that the guest writes while rings are collected are never lost") {
  loses_no_page_that_is_written_meanwhile(kRoomy, 1);
  loses_no_page_that_is_written_meanwhile(kRoomy, 3);
  loses_no_page_that_is_written_meanwhile(tiny(), 1);
  loses_no_page_that_is_written_meanwhile(tiny(), 3);
}

TEST_CASE("collecting rings without tracking is refused, and tracking can be turned on again") {
  can_be_turned_on_and_off(kRoomy);
  can_be_turned_on_and_off(tiny());
}

TEST_CASE("a vCPU whose ring is full runs on, and its pages are reported when it is asked for them") {
  Tracked machine(tiny());
  REQUIRE(machine.vm->tracker()->start().ok());
  std::vector<std::uint64_t> pages;
  for (std::uint64_t page = Tracked::kFirst; page <= machine.last(); ++page) pages.push_back(page);
  REQUIRE(pages.size() > tiny());
  machine.write_pages(pages);
  CHECK(full_exits(machine) >= pages.size() / tiny());
  CHECK(machine.collect() == std::set<std::uint64_t>(pages.begin(), pages.end()));
  const auto counts = machine.vm->ring_counts();
  REQUIRE(counts.size() == 1);
  CHECK(counts[0].pages >= pages.size());
}

TEST_CASE("rings are emptied ahead of time, and hardly a vCPU has to wait for it") {
  // One page each half millisecond, in circles over 512 pages: less than half a ring between two looks.
  Machine machine({.memory = 4 * kMiB, .pace_interval_ns = 500'000, .dirty_ring_size = 1024});
  // inc rbx; mov rdi, rbx; and edi, 0x1ff; shl edi, 12; add edi, 0x100000; mov [rdi], rbx; mov eax, ebx; out dx, eax; jmp
  machine.load({0x48, 0xff, 0xc3, 0x48, 0x89, 0xdf, 0x81, 0xe7, 0xff, 0x01, 0x00, 0x00, 0xc1, 0xe7, 0x0c,
                0x81, 0xc7, 0x00, 0x00, 0x10, 0x00, 0x48, 0x89, 0x1f, 0x89, 0xd8, 0xef, 0xeb, 0xe3});
  machine.prepare({.rdx = kPacePort});
  REQUIRE(machine.vm->tracker()->start().ok());
  machine.start();
  // Nobody collects. A ring that is left alone holds 512 pages and no more, for they are not watched any more.
  REQUIRE(eventually([&] { return machine.vm->ring_counts()[0].pages > 600; }));
  machine.stop();
  CHECK(full_exits(machine) == 0);
}

TEST_CASE("no page is lost to a stop, a start or a turn of tracking while all rings are full") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Writers machine(tiny(), 3);
  std::vector<double> stops;
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    machine.start();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    for (auto n = random() % 4; n > 0; --n) machine.copy_dirty();
    stops.push_back(machine.stop());
    machine.copy_dirty();
    REQUIRE(machine.copy_is_exact());
    if (round % 10 != 9) continue;
    // While the guest runs.
    machine.start();
    REQUIRE(machine.vm->tracker()->stop().ok());
    machine.begin_copy();
  }
  std::sort(stops.begin(), stops.end());
  MESSAGE("3 vCPUs, " << full_exits(machine) << " times a ring was full, 100 stops: median " << stops[50]
                      << " ms, longest " << stops.back() << " ms");
  CHECK(full_exits(machine) > 0);
}

TEST_CASE("collecting is safe while the machine is started, stopped and closed by others") {
  for (int round = 0; round < 10; ++round) {
    Writers machine(tiny(), 2);
    const std::shared_ptr<DirtyTracker> tracker = machine.vm->tracker();
    {
      std::vector<std::uint64_t> seen((machine.memory->pages() + 63) / 64);
      std::atomic<std::uint64_t> collected{0};
      const Meanwhile collecting([&] {
        (void)tracker->collect(seen);
        collected.fetch_add(1);
      });
      for (int n = 0; n < 10; ++n) {
        machine.start();
        const std::uint64_t before = collected.load();
        REQUIRE(eventually([&] { return collected.load() > before; }));
        machine.stop();
      }
      machine.start();
      machine.vm->close();
      machine.vm.reset();
    }
    // The tracker outlives the machine.
    std::vector<std::uint64_t> bitmap((machine.memory->pages() + 63) / 64);
    CHECK(tracker->collect(bitmap).ok());
    CHECK(tracker->stop().ok());
  }
}

TEST_CASE("a signal in the middle of a harvest loses no page") {
  static std::atomic<std::uint64_t> received{0};
  struct sigaction action {}, before {};
  action.sa_handler = [](int) { received.fetch_add(1); };
  ::sigaction(SIGUSR2, &action, &before);
  Writers machine(tiny(), 2);
  machine.start();
  {
    const pthread_t collector = ::pthread_self();
    const Meanwhile signalling([collector] {
      ::pthread_kill(collector, SIGUSR2);
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    });
    for (int round = 0; round < 200 || received.load() < 100; ++round) machine.copy_dirty();
  }
  machine.stop();
  machine.copy_dirty();
  CHECK(machine.copy_is_exact());
  ::sigaction(SIGUSR2, &before, nullptr);
}

TEST_CASE("a process that is stopped and continued in the middle of a harvest loses no page") {
  Writers machine(tiny(), 2);
  machine.start();
  // SIGSTOP cannot be blocked. Another process sends it: this one could not continue itself.
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (int n = 0; n < 100; ++n) {
      ::usleep(1000);
      ::kill(parent, SIGSTOP);
      ::usleep(200);
      ::kill(parent, SIGCONT);
    }
    ::_exit(0);
  }
  while (::waitpid(child, nullptr, WNOHANG) == 0) machine.copy_dirty();
  machine.stop();
  machine.copy_dirty();
  CHECK(machine.copy_is_exact());
}

}  // namespace
}  // namespace godwit::test
