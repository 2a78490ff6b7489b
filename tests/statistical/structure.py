"""Tables over many permutations of n, and what they must look like if all n! are equally likely.

``Tables`` adds up counts over samples; ``check`` compares each with its exact distribution:

- position-value table: its chi-square times (n - 1) / n has (n - 1)**2 degrees of freedom (Diaconis, "Group
  representations in probability and statistics", 1988, chapter 8);
- differences p(i + lag) - p(i) mod n, for each i and added over i, at lag 1 and at the width of the Feistel
  domain's left half, where neighbours share the other half; second differences likewise;
- pairs (p(i), p(j)) for some i, j: each of n(n - 1) equally likely;
- relative orders of disjoint runs of four: 24 equally likely, independent;
- cycles (Stirling numbers), fixed points (rencontres), descents (Eulerian numbers), parity.
"""

import math

import numpy as np

from tests.statistical.tools import F64, I64, check_chi_square, check_counts, pearson, uniform

RUN = 4


def cycle_distribution(n: int) -> F64:
    """Return the probability of 0..n cycles: element i opens a new one with probability 1/i."""
    p = np.zeros(n + 1)
    p[0] = 1.0
    for i in range(1, n + 1):
        p = p * (i - 1) / i + np.concatenate([[0.0], p[:-1]]) / i
    return p


def fixed_point_distribution(n: int) -> F64:
    """Return the probability of 0..n fixed points: derangements of the others."""
    p = np.zeros(n + 1)
    for k in range(min(n, 40) + 1):
        derangement = math.fsum((-1) ** j / math.factorial(j) for j in range(min(n - k, 40) + 1))
        p[k] = max(derangement, 0.0) / math.factorial(k)
    return p


def descent_distribution(n: int) -> F64:
    """Return the probability of 0..n-1 descents, by the recurrence of the Eulerian numbers."""
    p = np.zeros(n)
    p[0] = 1.0
    k = np.arange(n)
    for m in range(2, n + 1):
        p = ((k + 1) * p + np.maximum(m - k, 0) * np.concatenate([[0.0], p[:-1]])) / m
    return p


def count_cycles(permutations: I64) -> I64:
    """Return the number of cycles of each permutation: elements that are the least of their cycle."""
    least = np.broadcast_to(np.arange(permutations.shape[1]), permutations.shape).copy()
    jump = permutations
    for _ in range(permutations.shape[1].bit_length()):
        least = np.minimum(least, np.take_along_axis(least, jump, axis=1))
        jump = np.take_along_axis(jump, jump, axis=1)
    return np.asarray((least == np.arange(permutations.shape[1])).sum(axis=1))


class Tables:
    """Counts over permutations of n elements, added up."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.size = 0
        left = 1 << (n - 1).bit_length() // 2
        self.lags = (1, left)
        self.pairs = [(0, 1), (0, left), (n - 2, n - 1), (3, n // 2), (5, left + 6), (0, n - 1)]
        self.value = np.zeros((n, n))
        self.difference = {lag: np.zeros((n, n)) for lag in self.lags}
        self.second_difference = np.zeros(n)
        self.pair = np.zeros((len(self.pairs), n * n))
        self.orders = np.zeros((n // RUN, 1 << RUN * (RUN - 1) // 2))
        self.cycles, self.fixed, self.descents = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n)

    def add(self, p: I64) -> None:
        """Count an array of permutations, one a row."""
        n, place = self.n, np.arange(self.n) * self.n
        self.size += len(p)
        self.value += np.bincount((place + p).ravel(), minlength=n * n).reshape(n, n)
        for lag in self.lags:
            step = (np.roll(p, -lag, axis=1) - p) % n
            self.difference[lag] += np.bincount((place + step).ravel(), minlength=n * n).reshape(n, n)
        runs = p[:, : n // 3 * 3].reshape(len(p), -1, 3)
        second = (runs[:, :, 2] - 2 * runs[:, :, 1] + runs[:, :, 0]) % n
        self.second_difference += np.bincount(second.ravel(), minlength=n)
        for counts, (i, j) in zip(self.pair, self.pairs, strict=True):
            counts += np.bincount(p[:, i] * n + p[:, j], minlength=n * n)
        runs = p[:, : n // RUN * RUN].reshape(len(p), -1, RUN)
        code = np.zeros(runs.shape[:2], dtype=np.int64)
        for i in range(RUN):
            for j in range(i):
                code = 2 * code + (runs[:, :, j] < runs[:, :, i])
        code += np.arange(code.shape[1]) * self.orders.shape[1]
        self.orders += np.bincount(code.ravel(), minlength=self.orders.size).reshape(self.orders.shape)
        self.cycles += np.bincount(count_cycles(p), minlength=n + 1)
        self.fixed += np.bincount((p == np.arange(n)).sum(axis=1), minlength=n + 1)
        self.descents += np.bincount((p[:, 1:] < p[:, :-1]).sum(axis=1), minlength=n)

    def check(self, name: str) -> None:
        """Check every table against its distribution."""
        n, size = self.n, self.size
        chi = pearson(self.value, size / n)
        check_chi_square(f"{name}: position-value", chi * (n - 1) / n, (n - 1) ** 2)
        for lag, table in self.difference.items():
            self._check_differences(f"{name}: differences at lag {lag}", table[:, 1:])
        self._check_second_differences(f"{name}: second differences")
        distinct = ~np.eye(n, dtype=bool).ravel()
        for counts, (i, j) in zip(self.pair, self.pairs, strict=True):
            assert not counts[~distinct].any()
            check_counts(f"{name}: values at {i} and {j}", counts[distinct], uniform(n * (n - 1)), least=1.0)
        chi = pearson(self.orders[self.orders > 0], size / 24)
        assert ((self.orders > 0).sum(axis=1) == 24).all()
        check_chi_square(f"{name}: orders of runs", chi, 23 * len(self.orders))
        check_counts(f"{name}: cycles", self.cycles, cycle_distribution(n))
        check_counts(f"{name}: fixed points", self.fixed, fixed_point_distribution(n))
        check_counts(f"{name}: descents", self.descents, descent_distribution(n))
        even = self.cycles[n % 2 :: 2].sum()
        check_counts(f"{name}: parity", [even, size - even], uniform(2))

    def _check_differences(self, name: str, table: F64) -> None:
        n, size = self.n, self.size
        check_chi_square(name, pearson(table, size / (n - 1)), n * (n - 2))
        # The n differences of one permutation depend on each other: the count of one value among them has
        # variance n/(n-2) + n/(n-1) - n**2/(n-1)**2, a little more than that of n independent ones.
        variance = n / (n - 2) + n / (n - 1) - (n / (n - 1)) ** 2
        chi = pearson(table.sum(axis=0), size * n / (n - 1))
        check_chi_square(f"{name}, added", chi * n * (n - 2) / (n - 1) ** 2 / variance, n - 2)

    def _check_second_differences(self, name: str) -> None:
        """Check p(i+2) - 2p(i+1) + p(i) mod n: counted exactly over all ordered triples."""
        n = self.n
        ways = np.zeros(n)
        for step in range(1, n):
            for other in range(1, n):
                if step != other:
                    ways[(step + other) % n] += 1
        check_counts(name, self.second_difference, ways / ((n - 1) * (n - 2)))
