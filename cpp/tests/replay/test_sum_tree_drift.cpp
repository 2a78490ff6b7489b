// Sums do not drift: after a million updates of weights of very different size they are, to the last bit, those of a
// tree that was built from the weights. The Python tests do the same over 10^8 updates.
#include "check.hpp"
#include "reference.hpp"
#include "tombola/replay/sum_tree.hpp"

using namespace tombola;
using namespace tombola::test;

TEST(a_million_updates_leave_exact_sums) {
    constexpr std::size_t n = 1003;
    SumTree tree(n);
    tree.fill(std::vector<double>(n, 1.0));
    std::vector<index_t> slots(1000);
    std::vector<double> weights(slots.size());
    for (u64 round = 0; round < 1000; ++round) {
        for (u64 i = 0; i < slots.size(); ++i) {
            slots[i] = static_cast<index_t>(noise(80, 1000 * round + i) % n);
            weights[i] = std::exp2(20.0 * unit_noise(81, 1000 * round + i) - 18.0);
        }
        tree.update(slots, weights);
        if (round % 100 == 99) {
            SumTree anew(n);
            anew.restore(tree.weights(), tree.fit());
            CHECK_EQ(tree.total(), anew.total());
            CHECK_EQ(tree.positive(), u64{n});
            std::vector<index_t> drawn(5000);
            std::vector<index_t> expected(5000);
            tree.draw(1, round, SumTree::Draws::stratified, drawn, {});
            anew.draw(1, round, SumTree::Draws::stratified, expected, {});
            CHECK(drawn == expected);
        }
    }
}
