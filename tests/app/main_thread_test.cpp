// What keeps the main thread quick and quiet: the frame clock, the limit on wake-ups, the watchdog.
#include <chrono>
#include <thread>

#include "app/window/frame_clock.h"
#include "app/window/wake_ups.h"
#include "app/window/watchdog.h"
#include "tests/support/catch.h"

using namespace app::window;

TEST_CASE("10,000 wakes in a second are passed on 30 times, and none is lost") {
    double now = 100;
    int posts = 0;
    bool posted = false;
    WakeUps wakes([&] { return now; },
                  [&] {
                      posts++;
                      posted = true;
                  });
    // The loop sleeps until it is posted or its time is over; each wake must be seen within one
    // interval.
    double asleep_until = 0, oldest_unseen = -1, worst = 0;
    int looks = 0;
    for (int i = 0; i < 12'000; i++) {
        now = 100 + i * 1e-4;
        if (i < 10'000) {
            if (oldest_unseen < 0) {
                oldest_unseen = now;
            }
            wakes.wake();
        }
        if (posted || now >= asleep_until) {
            posted = false;
            looks++;
            if (oldest_unseen >= 0) {
                worst = std::max(worst, now - oldest_unseen);
            }
            oldest_unseen = -1;
            asleep_until = now + wakes.longest_sleep(now);
        }
    }
    CHECK(posts <= 31);
    CHECK(posts >= 25);
    CHECK(looks <= 64);
    CHECK(oldest_unseen < 0);
    CHECK(worst <= WakeUps::kInterval + 1e-3);
}

TEST_CASE("a wake after a quiet time is passed on at once") {
    double now = 1;
    int posts = 0;
    WakeUps wakes([&] { return now; }, [&] { posts++; });
    wakes.wake();
    CHECK(posts == 1);
    now = 2;
    CHECK(wakes.longest_sleep(now) > 1000);
    wakes.wake();
    CHECK(posts == 2);
    CHECK(wakes.longest_sleep(now) == Approx(WakeUps::kInterval));
}

TEST_CASE("without a reason no frame is due, whatever time passes") {
    FrameClock clock;
    for (double now = 0; clock.due(now, 0); now += 1) {
        clock.drawn(now);
    }
    const uint64_t before = clock.frames();
    for (int i = 0; i < 1000; i++) {
        const double now = 100 + i * 0.5;
        CHECK_FALSE(clock.due(now, 1.0 / 120));
        CHECK(clock.wait(now, 1.0 / 120, -1) == FrameClock::kLongest);
    }
    CHECK(clock.frames() == before);
    clock.request();
    CHECK(clock.due(1000, 1.0 / 120));
}

TEST_CASE("the watchdog names what took long, and not what it was inside of") {
    Watchdog& watchdog = Watchdog::instance();
    watchdog.take_late();
    std::vector<Watchdog::Late> late;
    for (int round = 0; round < 20 && late.size() != 1;
         round++) {  // others may hold up any of them
        {
            const Timed outer("the frame");
            { const Timed quick("a quick part"); }
            const Timed slow("a slow part");
            std::this_thread::sleep_for(std::chrono::milliseconds(12));
        }
        late = watchdog.take_late();
    }
    REQUIRE(late.size() == 1);
    CHECK(std::string(late[0].name) == "a slow part");
    CHECK(late[0].ms >= 12);
    CHECK(late_text(late).find("a slow part ") == 0);
    CHECK(watchdog.take_late().empty());
    CHECK(late_text({}).empty());
}
