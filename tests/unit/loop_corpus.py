"""Loops as people write them, each in a function that is named for what it shows.

The loop is the function's first ``for``. Where a line says ``# no: NAME``, the loop must not be proven, and the reason has to
tell of that line and name; all others must be proven. Functions without a loop, or that are called a helper, are what they call.
"""

import collections
import contextlib
import csv
import datetime
import hashlib
import itertools
import json
import logging
import math
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from clustrix import cluster, cluster_stat, cluster_write

CONST = {"alpha": 0.5}
DATA = Path("data")
CACHE = {}
rng = np.random.default_rng(0)


class Sim:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.x = 0

    def step(self):
        self.x += self.rng.random()


@dataclass
class P:
    a: float
    b: float


def step(x, dt):
    return x + dt * (1 - x)


def simulate(seed, n=100):  # helper
    r = np.random.default_rng(seed)
    x = 0.0
    for _ in range(n):
        x = step(x, 0.01) + r.normal()
    return x


def load(path):
    with open(path) as f:
        return [float(l) for l in f]


def stats(xs):
    m = sum(xs) / len(xs)
    return {"mean": m, "sd": math.sqrt(sum((x - m) ** 2 for x in xs) / len(xs))}


def normalise(v):
    v -= v.mean()
    return v


@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def memo(n):
    if n not in CACHE:
        CACHE[n] = n * n
    return CACHE[n]


def square(x):
    return x * x


def collatz(n):  # helper
    count = 0
    while n > 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
    return count


def with_a_sum(row):
    row = list(row)
    row.append(sum(row))
    return row


def depth(n):
    return 0 if n < 1 else 1 + depth(n - 1)


def noisy(x):
    return x + random.random()


def very_noisy(x):
    return noisy(x) * 2


def counted(x):
    RESULTS.append(x)
    return x


def keep(x):
    RESULTS.append(x)


def make_adder(n):
    return lambda x: x + n


def yielding(n):
    yield from range(n)
    yield -1


@contextlib.contextmanager
def timer(name):
    yield name


class Model:
    def predict(self, x):
        return x


MODEL = Model()
COUNTER = 0
RESULTS = []


def one_simulation_for_each_seed(n):
    res = []
    for seed in range(n):
        res.append(simulate(seed))
    return np.mean(res)


def a_grid_of_parameters(alphas, betas):
    table = {}
    for a in alphas:
        for b in betas:
            table[a, b] = simulate(int(a * b))
    return table


def what_is_in_json_files(paths):
    rows = []
    for p in paths:
        with open(p) as f:
            d = json.load(f)
        rows.append({"name": os.path.basename(p), "n": len(d["x"]), "mean": sum(d["x"]) / len(d["x"])})
    return rows


def statistics_of_each_file(paths):
    out = {}
    for p in sorted(paths):
        out[p] = stats(load(p))
    return out


def words_in_texts_of_a_directory():
    n = 0
    for p in sorted(DATA.glob("*.txt")):
        n += len(p.read_text().split())
    return n


def norms_of_rows(A):
    norms = np.zeros(A.shape[0])
    for i in range(A.shape[0]):
        norms[i] = np.sqrt(np.sum(A[i] ** 2))
    return norms


def a_moving_window(x, w):
    out = np.empty(len(x) - w + 1)
    for i in range(len(x) - w + 1):
        out[i] = x[i : i + w].mean()
    return out


def bootstrap_with_seeds(data, B):
    means = []
    for b in range(B):
        r = np.random.default_rng(b)
        sample = r.choice(data, size=len(data), replace=True)
        means.append(sample.mean())
    return np.percentile(means, [2.5, 97.5])


def words_counted_in_lines(lines):
    c = Counter()
    for line in lines:
        for w in line.split():
            c[w] += 1
    return c


def records_in_groups(records):
    by = defaultdict(list)
    for r in records:
        by[r["key"]].append(r["value"])
    return by


def an_inverted_index(docs):
    index = defaultdict(set)
    for i, d in enumerate(docs):
        for w in set(re.findall(r"\w+", d.lower())):
            index[w].add(i)
    return index


def both_halves_of_a_distance_matrix(X):
    n = len(X)
    D = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            D[i, j] = D[j, i] = np.linalg.norm(X[i] - X[j])
    return D


def a_whole_distance_matrix(X):
    n = len(X)
    D = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            d = np.linalg.norm(X[i] - X[j])
            D[i, j] = d
    return D


def a_column_of_csv_files(paths):
    total = 0.0
    for p in paths:
        with open(p, newline="") as f:
            for row in csv.DictReader(f):
                total += float(row["value"])
    return total


def a_fractal_with_a_while_in_it(w, h, it):
    img = np.zeros((h, w), dtype=int)
    for y in range(h):
        for x in range(w):
            c = complex(x / w * 3 - 2, y / h * 2 - 1)
            z = 0
            k = 0
            while abs(z) < 2 and k < it:
                z = z * z + c
                k += 1
            img[y, x] = k
    return img


def pi_with_seeds(n):
    inside = 0
    for i in range(n):
        r = random.Random(i)
        if r.random() ** 2 + r.random() ** 2 < 1:
            inside += 1
    return 4 * inside / n


def primes_with_an_inner_break(n):
    ps = []
    for k in range(2, n):
        is_p = True
        for d in range(2, int(k**0.5) + 1):
            if k % d == 0:
                is_p = False
                break
        if is_p:
            ps.append(k)
    return ps


def the_longest_chain_and_where(n):
    best, arg = 0, 0
    for k in range(1, n):
        m, c = k, 0
        while m != 1:
            m = m // 2 if m % 2 == 0 else 3 * m + 1
            c += 1
        if c > best:
            best, arg = c, k
    return best, arg


def a_table_as_text(rows):
    s = ""
    for r in rows:
        s += f"{r[0]}\t{r[1]:.3f}\n"
    return s


def copies_normalised(vs):
    out = []
    for v in vs:
        v = v - v.mean()
        out.append(v / v.std())
    return out


def a_function_that_remembers(n):
    out = []
    for i in range(n):
        out.append(fib(i))
    return out


def files_that_fail_are_noted(paths):
    out, bad = [], []
    for p in paths:
        try:
            v = load(p)
        except (OSError, ValueError):
            bad.append(p)
            continue
        out.append(sum(v))
    return out, bad


def dates_read(rows):
    out = []
    for r in rows:
        t = datetime.datetime.strptime(r["t"], "%Y-%m-%d")
        out.append((t.year, r["v"]))
    return out


def rows_sorted_by_a_key(rows):
    out = []
    for r in rows:
        out.append(sorted(r, key=lambda p: p[1]))
    return out


def records_with_one_more_field(recs):
    out = []
    for r in recs:
        out.append({**r, "z": r["x"] + r["y"]})
    return out


def a_sum_of_matrices(X):
    S = np.zeros((3, 3))
    for x in X:
        S += np.outer(x, x)
    return S / len(X)


def a_histogram(xs, edges):
    counts = [0] * (len(edges) - 1)
    for x in xs:
        for k in range(len(edges) - 1):
            if edges[k] <= x < edges[k + 1]:
                counts[k] += 1
                break
    return counts


def scores_of_folds(X, y, k):
    scores = []
    for fold in range(k):
        test = np.arange(len(X)) % k == fold
        A, b = X[~test], y[~test]
        w = np.linalg.lstsq(A, b, rcond=None)[0]
        r = y[test] - X[test] @ w
        scores.append(float(np.mean(r**2)))
    return np.mean(scores)


def the_nearest_word(a, words):
    best = None
    arg = None
    for w in words:
        d = sum(p != q for p, q in zip(a, w))
        if best is None or d < best:
            best = d
            arg = w
    return arg


def matrices_as_lists(A, B):
    C = [[0.0] * len(B[0]) for _ in A]
    for i in range(len(A)):
        for j in range(len(B[0])):
            for k in range(len(B)):
                C[i][j] += A[i][k] * B[k][j]
    return C


def a_constant_of_the_module(xs):
    out = []
    for x in xs:
        out.append(x * CONST["alpha"])
    return out


def rows_that_are_made(xs):
    res = []
    for x in xs:
        row = []
        for k in range(3):
            row.append(x**k)
        res.append(row)
    return np.array(res)


def spectra(signals):
    power = []
    for s in signals:
        f = np.fft.rfft(s - np.mean(s))
        power.append(np.abs(f) ** 2)
    return power


def two_lists_at_once(a, b):
    out = 0.0
    for x, y in zip(a, b):
        out += (x - y) ** 2
    return math.sqrt(out)


def means_of_a_dictionary(d):
    out = {}
    for k, vs in d.items():
        out[k] = statistics.mean(vs)
    return out


def the_largest_of_a_matrix(A):
    m = 0
    for row in A:
        for v in row:
            m = max(m, abs(v))
    return m


def means_of_a_table(df, names):
    res = {}
    for name in names:
        res[name] = df[df["g"] == name]["v"].mean()
    return res


def scores_of_models(models, X):
    out = {}
    for name, w in models.items():
        out[name] = float((X @ w).sum())
    return out


def an_import_in_the_function(n):
    import numpy as np

    out = []
    for i in range(n):
        out.append(np.sin(i))
    return out


def keywords_in_a_call(n):
    out = []
    for i in range(n):
        out.append(simulate(seed=i, n=10))
    return out


def two_counters(xs):
    pos = neg = 0
    for x in xs:
        if x > 0:
            pos += 1
        elif x < 0:
            neg += 1
    return pos, neg


def waiting(n):
    out = []
    for i in range(n):
        time.sleep(0.001)
        out.append(i)
    return out


def lines_that_were_read(path):
    out = []
    with open(path) as f:
        lines = f.readlines()
    for line in lines:
        out.append(len(line.split()))
    return out


def a_seed_for_each(n):
    out = []
    for i in range(n):
        rng_here = random.Random(i)
        out.append([rng_here.random() for _ in range(3)])
    return out


def sets_of_letters(words):
    letters = set()
    for word in words:
        letters.add(word[0].lower())
    return letters


def flattened(rows):
    out = []
    for row in rows:
        out.extend([x + 1 for x in row])
    return out


def a_product(xs):
    p = 1
    for x in xs:
        p *= x
    return p


def the_smallest(xs):
    low = float("inf")
    for x in xs:
        low = min(low, x * x)
    return low


def added_the_long_way(xs):
    total = 0
    for x in xs:
        total = total + x + 1
    return total


def text_put_before(words):
    text = ""
    for word in words:
        text = word + text
    return text


def flags_joined(xs):
    flags = 0
    for x in xs:
        flags |= 1 << (x % 8)
    return flags


def a_dictionary_of_lists(pairs):
    groups = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def the_last_one_stays(pairs):
    found = {}
    for key, value in pairs:
        found[key] = value
    return found


def no_effect_at_all(xs):
    y = None
    for x in xs:
        y = x * 2
    return y


def the_loops_variable_afterwards(n):
    for i in range(n):
        y = i * i
    return i, y


def an_inner_list_that_grows(n):
    out = []
    for i in range(n):
        row = []
        for j in range(i):
            row.append(j)
        row.append(-1)
        row.sort()
        out.append(row)
    return out


def errors_counted(texts):
    values, bad = [], 0
    for text in texts:
        try:
            value = float(text)
        except ValueError:
            bad += 1
            continue
        values.append(value)
    return values, bad


def it_may_raise(xs):
    out = []
    for x in xs:
        if x < 0:
            raise ValueError(f"{x} is negative")
        out.append(math.sqrt(x))
    return out


def asserted(xs):
    out = []
    for x in xs:
        assert x > 0, "positive only"
        out.append(math.log(x))
    return out


def a_name_given_in_passing(texts):
    out = []
    for text in texts:
        if (match := re.match(r"(\d+)", text)) is not None:
            out.append(int(match.group(1)))
    return out


def cases_of_a_match(shapes):
    area = 0.0
    for shape in shapes:
        match shape:
            case ("circle", r):
                a = 3 * r * r
            case ("square", s):
                a = s * s
            case _:
                a = 0
        area += a
    return area


def counted_backwards(n):
    out = []
    for i in range(n - 1, -1, -1):
        out.append(i * i)
    return out


def an_array_in_slices(n):
    a = np.zeros((n, 4))
    for i in range(n):
        a[i, :] = np.arange(4) * i
    return a


def a_result_in_an_outer_loop(rows):
    tables = []
    while len(tables) < 3:
        for row in rows:
            tables.append(sum(row))
    return tables


def squares_in_a_comprehension(xs):
    out = []
    for x in xs:
        out.append({y: x * y for y in range(3)})
    return out


def a_helper_with_loops(xs):
    out = []
    for x in xs:
        out.append(collatz(x))
    return out


def a_helper_that_copies(rows):
    out = []
    for row in rows:
        out.append(with_a_sum(row))
    return out


def a_helper_that_calls_itself(xs):
    out = []
    for x in xs:
        out.append(depth(x))
    return out


def a_double_ended_queue(xs):
    out = collections.deque()
    for x in xs:
        out.appendleft(x)
    return out


def scratch_that_nobody_reads(xs):
    out = []
    for x in xs:
        if x > 0:
            tmp = x * 2
            out.append(tmp)
    tmp = 0
    return out, tmp


def an_else_of_an_inner_loop(n):
    primes = []
    for k in range(2, n):
        for d in range(2, k):
            if k % d == 0:
                break
        else:
            primes.append(k)
    return primes


def files_on_the_cluster(names):
    sizes = {}
    for name in names:
        sizes[name] = cluster_stat(name).size
    return sizes


def a_digest_of_each_file(paths):
    digests = {}
    for path in paths:
        with open(path, "rb") as file:
            digests[path] = hashlib.sha256(file.read()).hexdigest()
    return digests


def draws_of_numpys_one_state(data, B):
    means = []
    for b in range(B):
        sample = np.random.choice(data, size=len(data))  # no: np.random.choice
        means.append(sample.mean())
    return means


def a_generator_from_before_the_loop(data, B):
    r = np.random.default_rng(0)
    means = []
    for b in range(B):
        means.append(r.choice(data).mean())  # no: r.choice
    return means


def a_generator_of_the_module(n):
    out = []
    for i in range(n):
        out.append(rng.normal())  # no: rng.normal
    return out


def steps_in_time(n, dt):
    x = 1.0
    traj = [x]
    for i in range(n):
        x = step(x, dt)  # no: x
        traj.append(x)
    return traj


def running_sums(xs):
    s = 0
    out = []
    for x in xs:
        s += x
        out.append(s)  # no: s
    return out


def pi_by_the_one_state(n):
    inside = 0
    for i in range(n):
        if random.random() ** 2 + random.random() ** 2 < 1:  # no: random.random
            inside += 1
    return inside


def progress_is_printed(xs):
    out = []
    for i, x in enumerate(xs):
        out.append(x * x)
        print(i, "done")  # no: print
    return out


def files_are_written(xs):
    for i, x in enumerate(xs):
        with open(f"out{i}.txt", "w") as f:  # no: open
            f.write(str(x))


def a_log_is_written(xs, log):
    for x in xs:
        y = x * x
        log.write(f"{y}\n")  # no: log.write


def an_object_goes_on(n):
    sim = Sim(0)
    out = []
    for i in range(n):
        sim.step()  # no: sim.step
        out.append(sim.x)
    return out


def an_object_of_a_class_for_each(n):
    out = []
    for i in range(n):
        sim = Sim(i)  # no: Sim
        for _ in range(100):
            sim.step()
        out.append(sim.x)
    return out


def a_function_changes_what_it_gets(vs):
    out = []
    for v in vs:
        out.append(normalise(v).sum())  # no: normalise
    return out


def a_function_fills_a_dictionary_of_the_module(n):
    out = []
    for i in range(n):
        out.append(memo(i))  # no: memo
    return out


def rows_are_sorted_in_place(rows):
    for r in rows:
        r.sort()  # no: r
    return rows


def records_get_a_field(recs):
    for r in recs:
        r["z"] = r["x"] + r["y"]  # no: r
    return recs


def gradient_descent(w, X, y):
    for xi, yi in zip(X, y):
        w = w - 0.1 * (w @ xi - yi) * xi  # no: w
    return w


def the_first_that_fits(xs, t):
    for i, x in enumerate(xs):
        if x > t:
            break  # no: break
    return i


def a_queue_that_is_emptied(q):
    out = []
    while q:  # no: while
        out.append(q.pop())
    return out


def everything_in_one_plot(xs):
    import matplotlib.pyplot as plt

    for x in xs:
        plt.plot(x)  # no: plt.plot


def items_that_are_made_meanwhile(xs):
    n = 0
    for a, b, c in itertools.combinations(xs, 3):  # no: itertools.combinations
        if a + b + c == 0:
            n += 1
    return n


def an_object_of_data_for_each(xs):
    out = []
    for x in xs:
        p = P(x, x * 2)  # no: P
        out.append(p.a + p.b)
    return out


def the_environment_is_changed(n):
    for i in range(n):
        os.environ["I"] = str(i)  # no: os.environ


def time_is_measured(n):
    ts = []
    for i in range(n):
        t = time.time()  # no: time.time
        simulate(i)
        ts.append(time.time() - t)
    return ts


def a_function_within_the_function(xs):
    def g(x):
        return x * x + 1

    out = []
    for x in xs:
        out.append(g(x))  # no: g
    return out


def lines_as_they_are_read(path):
    out = []
    with open(path) as f:
        for line in f:  # no: f
            out.append(len(line.split()))
    return out


def the_item_before(xs):
    out, last = [], 0
    for x in xs:
        out.append(x + last)  # no: last
        last = x
    return out


def a_distance_of_one(n):
    a = [0] * n
    for i in range(1, n):
        a[i] = a[i - 1] + 1  # no: a
    return a


def a_distance_of_minus_two(n):
    a = [1] * n
    for i in range(n - 2):
        a[i] = a[i + 2] * 2  # no: a
    return a


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b  # no: b
    return a


def a_filter_of_signals(xs):
    y = 0.0
    out = []
    for x in xs:
        y = 0.9 * y + x  # no: y
        out.append(y)
    return out


def the_length_of_what_grows(xs):
    out = []
    for x in xs:
        out.append(len(out))  # no: out
    return out


def what_was_seen(xs):
    seen, out = set(), []
    for x in xs:
        if x not in seen:  # no: seen
            out.append(x)
        seen.add(x)
    return out


def a_counter_as_an_index(xs):
    out, n = {}, 0
    for x in xs:
        out[n] = x  # no: n
        n += 1
    return out


def a_counter_that_is_looked_at(xs):
    n = 0
    for x in xs:
        if n < 10:  # no: n
            n += 1
    return n


def a_variable_of_the_outer_scope(n):
    x = 1
    for i in range(n):
        x = x * 2 % 7  # no: x
    return x


def a_flag_that_stays(xs):
    found = False
    for x in xs:
        if x > 3:
            found = True
    return found  # no: found


def the_last_positive(xs):
    for x in xs:
        if x > 0:
            last = x
    return last  # no: last


def the_first_positive(xs):
    for x in xs:
        if x > 0:
            return x  # no: return


def a_generator(xs):
    for x in xs:
        yield x * 2  # no: yield


def a_generator_of_others(xs):
    for x in xs:
        yield from x  # no: yield


async def a_coroutine(xs):  # no: a_coroutine
    out = []
    for x in xs:
        out.append(x)
    return out


async def an_async_for(xs):
    async for x in xs:  # no: async for
        print(x)


def an_else(xs):
    out = []
    for x in xs:
        out.append(x)
    else:
        out.append(None)  # no: else
    return out


def a_global(n):
    global COUNTER  # no: COUNTER
    for i in range(n):
        COUNTER += i


def a_nonlocal():
    count = 0

    def run(n):
        nonlocal count  # no: count
        for i in range(n):
            count += i

    for i in range(3):
        run(i)
    return count


def a_list_of_the_module(xs):
    for x in xs:
        RESULTS.append(x)  # no: RESULTS


def a_dictionary_of_the_module(xs):
    for x in xs:
        CACHE[x] = x * x  # no: CACHE


def an_attribute(self, xs):
    for x in xs:
        self.total += x  # no: self.total


def an_attribute_that_is_set(self, xs):
    for x in xs:
        self.last = x  # no: self


def a_list_in_an_attribute(self, xs):
    for x in xs:
        self.results.append(x)  # no: self


def a_method_of_its_own(self, xs):
    out = []
    for x in xs:
        out.append(self.step(x))  # no: self.step
    return out


def a_function_that_is_given(f, xs):
    out = []
    for x in xs:
        out.append(f(x))  # no: 'f'
    return out


def a_list_that_is_given(out, xs):
    for x in xs:
        out.append(x)  # no: out


def an_array_that_is_given(a, xs):
    for i, x in enumerate(xs):
        a[i] = x  # no: a


def a_sum_that_is_given(total, xs):
    for x in xs:
        total += x  # no: total
    return total


def another_name_of_the_list(xs):
    out = xs
    for x in [1, 2]:
        out.append(x)  # no: out
    return out


def two_names_at_once(xs):
    a = b = []
    for x in xs:
        a.append(len(b))  # no: a
    return a


def a_name_made_of_another(xs):
    a = []
    b = a  # no: a
    for x in xs:
        a.append(sum(b))
    return a


def a_name_made_of_another_in_a_list(xs):
    a = []
    b = [a]  # no: a
    for x in xs:
        a.append(len(b[0]))
    return a


def handed_to_somebody(xs):
    a = []
    keep(a)  # no: a
    for x in xs:
        a.append(x)
    return a


def kept_by_a_function(xs):
    a = []
    size = lambda: len(a)  # no: a
    for x in xs:
        a.append(x)
    return a, size


def chosen_among_two(xs, ys, first):
    a = xs if first else ys
    for x in [1, 2]:
        a.append(x)  # no: a


def an_element_that_is_changed(rows):
    for i in range(3):
        rows[i][0] = 1  # no: rows


def rows_in_a_new_list(rows):
    grid = list(rows)
    for i in range(3):
        grid[i][0] = 1  # no: grid


def rows_of_one_row(rows):
    grid = [rows[0] for _ in range(3)]
    for i in range(3):
        grid[i].append(1)  # no: grid
    return grid


def groups_of_given_lists(data, keys):
    groups = {}
    for key in keys:
        groups[key] = data[key]  # no: data[key]
        groups[key].append(1)
    return groups


def a_default_that_is_given(pairs, empty):
    groups = {}
    for key, value in pairs:
        groups.setdefault(key, empty).append(value)  # no: groups
    return groups


def added_in_place(vectors):
    out = []
    for v in vectors:
        v += 1  # no: v
        out.append(v)
    return out


def added_in_place_to_an_element(vectors):
    for i in range(3):
        v = vectors[i]
        v *= 2  # no: v


def added_in_place_to_a_view(a):
    out = []
    for i in range(3):
        row = a[i].reshape(2, 2)
        row += 1  # no: row
        out.append(row.sum())
    return out


def an_array_filled(a):
    for i in range(3):
        a[i].fill(0)  # no: a


def an_output_argument(a, b):
    for i in range(3):
        np.add(a[i], 1, out=b[i])  # no: out


def an_output_as_third_argument(a, b):
    for i in range(3):
        np.add(a[i], 1, b[i])  # no: np.add


def a_table_changed_in_place(tables):
    for t in tables:
        t.dropna(inplace=True)  # no: inplace


def a_column_is_added(df, names):
    for name in names:
        df[name] = 0  # no: df


def a_pop(xs, stack):
    out = []
    for x in xs:
        out.append(stack.pop())  # no: stack
    return out


def the_iterated_list_shrinks(xs):
    for x in xs:
        xs.remove(x)  # no: xs


def the_iterated_list_grows(n):
    xs = [n]
    for x in xs:  # no: xs
        xs.append(x - 1)


def the_iterated_dictionary_changes(d):
    for key in d:
        del d[key]  # no: d


def a_default_value(xs, out=[]):
    for x in xs:
        out.append(x)  # no: out
    return out


def an_iterator_from_before(xs):
    it = iter(xs)
    out = []
    for i in range(2):
        out.append(next(it))  # no: next
    return out


def an_iterator_in_a_sum(xs):
    it = iter(xs)
    out = []
    for i in range(2):  # no: it
        out.append(sum(it))
    return out


def a_generator_from_before(xs):
    squares = (x * x for x in xs)
    out = []
    for i in range(2):  # no: squares
        out.append(sum(squares) + i)
    return out


def over_a_generator(xs):
    out = []
    for y in (x * x for x in xs):  # no: x * x
        out.append(y)
    return out


def over_a_map(xs):
    out = []
    for y in map(square, xs):  # no: map
        out.append(y)
    return out


def over_a_counter_without_end():
    out = []
    for i in itertools.count():  # no: itertools.count
        out.append(i)


def over_a_function_that_yields(n):
    out = []
    for i in yielding(n):  # no: yielding
        out.append(i)
    return out


def over_an_open_file(path):
    n = 0
    for line in open(path):  # no: open
        n += len(line)
    return n


def over_an_unknown_function(source):
    out = []
    for x in source.stream():  # no: source.stream
        out.append(x)
    return out


def input_is_asked_for(n):
    out = []
    for i in range(n):
        out.append(input())  # no: input
    return out


def a_file_in_the_mode_it_is_given(paths, mode):
    for path in paths:
        with open(path, mode) as f:  # no: open
            f.read()


def a_path_is_written(paths):
    for path in paths:
        Path(path).write_text("x")  # no: write_text


def a_path_is_renamed(paths):
    for path in paths:
        Path(path).replace("x")  # no: replace


def a_path_is_removed(paths):
    for path in paths:
        os.remove(path)  # no: os.remove


def a_directory_is_made(paths):
    for path in paths:
        os.makedirs(path)  # no: os.makedirs


def a_command_is_run(names):
    for name in names:
        subprocess.run(["ls", name])  # no: subprocess.run


def a_file_on_the_cluster_is_written(names):
    for name in names:
        cluster_write(name, b"")  # no: cluster_write


def an_array_is_saved(paths):
    for path in paths:
        np.save(path, np.zeros(3))  # no: np.save


def something_is_logged(xs):
    for x in xs:
        logging.info("at %s", x)  # no: logging.info


def the_standard_output(xs):
    for x in xs:
        sys.stdout.write(str(x))  # no: sys.stdout.write


def a_random_integer(n):
    out = []
    for i in range(n):
        out.append(random.randint(0, i))  # no: random.randint
    return out


def a_shuffle(rows):
    for row in rows:
        random.shuffle(row)  # no: random.shuffle


def a_shuffle_by_a_seed(rows):
    for i, row in enumerate(rows):
        random.Random(i).shuffle(row)  # no: row


def a_seed_is_set(n):
    out = []
    for i in range(n):
        np.random.seed(i)  # no: np.random.seed
        out.append(np.random.rand())
    return out


def normal_numbers(n):
    a = np.zeros(n)
    for i in range(n):
        a[i] = np.random.normal()  # no: np.random.normal
    return a


def a_generator_without_a_seed(n):
    out = []
    for i in range(n):
        out.append(np.random.default_rng().normal())  # no: default_rng
    return out


def a_function_that_draws(n):
    out = []
    for i in range(n):
        out.append(noisy(i))  # no: noisy
    return out


def a_function_of_a_function_that_draws(n):
    out = []
    for i in range(n):
        out.append(very_noisy(i))  # no: very_noisy
    return out


def the_time_of_day(n):
    out = []
    for i in range(n):
        out.append(datetime.datetime.now())  # no: now
    return out


def a_clock(n):
    out = []
    for i in range(n):
        out.append(time.perf_counter())  # no: time.perf_counter
    return out


def the_number_of_the_process(n):
    out = []
    for i in range(n):
        out.append(os.getpid())  # no: os.getpid
    return out


def the_identity_of_objects(xs):
    out = []
    for x in xs:
        out.append(id(x))  # no: id
    return out


def one_object_or_another(xs, special):
    out = []
    for x in xs:
        out.append(x is special)  # no: special
    return out


def all_variables(n):
    for i in range(n):
        x = i
    return locals()  # no: locals


def text_that_is_run(n):
    for i in range(n):
        exec("x = i")  # no: exec


def text_that_is_evaluated(texts):
    out = []
    for text in texts:
        out.append(eval(text))  # no: eval
    return out


def an_attribute_by_name(objects):
    for o in objects:
        setattr(o, "x", 1)  # no: setattr


def a_function_kept(n):
    fs = []
    for i in range(n):
        fs.append(lambda: i)  # no: lambda
    return fs


def a_function_kept_by_name(n):
    fs = []
    for i in range(n):
        fs.append(square)  # no: square
    return fs


def a_class_defined(n):
    out = []
    for i in range(n):

        class C:  # no: C
            x = i

        out.append(C)
    return out


def a_variable_deleted(n):
    for i in range(n):
        x = i
        del x  # no: x


def an_import_of_something(n):
    for i in range(n):
        import unknown_module  # no: unknown_module

        unknown_module.f(i)


def a_lock(xs, lock):
    out = []
    for x in xs:
        with lock:  # no: lock
            out.append(x)
    return out


def the_variable_is_an_attribute(self, xs):
    for self.x in xs:  # no: self.x
        pass


def the_variable_is_an_element(xs, a):
    for a[0] in xs:  # no: a[0]
        pass


def two_kinds_of_sums(xs):
    t = 1
    for x in xs:
        t += x  # no: t
        t *= 2
    return t


def a_difference_the_wrong_way(xs):
    t = 0
    for x in xs:
        t = x - t  # no: t
    return t


def a_quotient(xs):
    t = 1.0
    for x in xs:
        t = x / t  # no: t
    return t


def a_sum_within_a_try(xs):
    t = 0
    for x in xs:
        try:
            t += x  # no: t
        except TypeError:
            pass
    return t


def what_a_failure_left(xs):
    t = 0
    try:
        for x in xs:
            t += x
    except TypeError:
        print(x)  # no: x
    return t


def the_best_by_a_sum(xs):
    best = total = 0
    for x in xs:
        total += x
        best = max(best, total)  # no: total
    return best


def a_best_that_is_looked_at(xs):
    best, out = 0, []
    for x in xs:
        best = max(best, x)
        out.append(best)  # no: best
    return out


def a_best_without_a_beginning(xs):
    for x in xs:
        if x > best:  # no: best
            best = x
    return best


def a_random_walk(n):
    position = 0
    path = []
    for i in range(n):
        position += 1 if random.Random(i).random() < 0.5 else -1
        path.append(position)  # no: position
    return path


def newton(f_values, n):
    x = 1.0
    for i in range(n):
        x = x - (x * x - 2) / (2 * x)  # no: x
    return x


def a_dynamic_programme(costs):
    best = [0] * (len(costs) + 1)
    for i, c in enumerate(costs):
        best[i + 1] = max(best[i], c)  # no: best
    return best


def a_graph_is_walked(graph, start):
    queue, seen = [start], []
    for _ in range(len(graph)):
        node = queue.pop(0)  # no: queue
        seen.append(node)
        queue.extend(graph[node])
    return seen


def a_string_that_is_looked_at(xs):
    s = ""
    for x in xs:
        if not s.endswith(","):  # no: s
            s += str(x)
    return s


def a_variable_changed_behind_a_branch(xs):
    out, y = [], 0
    for x in xs:
        if x > 0:
            y = x
        out.append(y)  # no: y
    return out


def a_variable_of_an_inner_while(xs):
    out = []
    for x in xs:
        while x > 1:
            k = x
            x = x - 1
        out.append(k)  # no: k
    return out


def an_unknown_library(xs):
    out = []
    for x in xs:
        out.append(torch.nn.functional.relu(x))  # no: torch
    return out


def an_object_of_the_module(xs):
    out = []
    for x in xs:
        out.append(MODEL.predict(x))  # no: MODEL
    return out


def a_call_of_a_call(xs):
    out = []
    for x in xs:
        out.append(make_adder(1)(x))  # no: make_adder
    return out


def a_call_of_an_element(fs, xs):
    out = []
    for x in xs:
        out.append(fs[0](x))  # no: fs[0]
    return out


def a_sort_by_an_unknown_key(rows, key):
    out = []
    for row in rows:
        out.append(sorted(row, key=key))  # no: key
    return out


def a_key_that_changes_things(rows):
    out = []
    for row in rows:
        out.append(sorted(row, key=counted))  # no: counted
    return out


def a_context_of_the_users(xs):
    out = []
    for x in xs:
        with timer("x"):  # no: timer
            out.append(x)
    return out


def a_thread_for_each(xs):
    for x in xs:
        threading.Thread(target=square, args=(x,)).start()  # no: threading.Thread


def a_message_is_sent(xs, queue):
    for x in xs:
        queue.put(x)  # no: queue.put


def a_row_in_a_database(rows, cursor):
    for row in rows:
        cursor.execute("insert", row)  # no: cursor.execute


def a_default_value_with_a_method(xs):
    out = []
    for x in xs:
        out.append(predicted(x))  # no: predicted
    return out


def predicted(x, model=MODEL):  # helper
    return model.get(x)


def an_inner_function_of_an_inner_function(xs):
    out = []
    for x in xs:

        def inner(y):
            def noisy(z):
                return z

            return noisy(y)

        out.append(inner(x) + noisy(x))  # no: noisy
    return out


def a_list_named_by_a_walrus(xs, ys):
    out = []
    if out := ys:
        pass
    for x in xs:
        out.append(x)  # no: out
    return out


def a_function_for_a_cluster(xs):
    out = []
    for x in xs:
        out.append(submitted(x))  # no: submitted
    return out


@cluster(cores=1)
def submitted(x):
    return x


def sums_of_lists(rows):
    out = []
    for row in rows:
        out += row
    return out


def a_type_is_asked_for(xs):
    n = 0
    for x in xs:
        if type(x) is int:
            n += 1
    return n


def an_array_like_another(a):
    counts = np.zeros_like(a)
    for i in range(len(a)):
        counts[i] += a[i]
    return counts


def stored_where_a_view_is_read(n):
    a = np.arange(n, dtype=float)
    backwards = a[::-1]  # no: a
    for i in range(n):
        a[i] = backwards[i] * 2
    return a


def stored_where_a_row_is_read(n):
    m = np.zeros((3, n))
    row = m[0]  # no: m
    for i in range(n):
        m[0, i] = row[i - 1] + 1
    return m


def stored_where_rows_are_listed(n):
    m = np.zeros((3, n))
    rows = list(m)  # no: m
    for i in range(n):
        m[0, i] = rows[0][i - 1] + 1
    return m


def looked_at_before(n):
    a = np.zeros(n)
    first = a[0] + 1
    for i in range(n):
        a[i] = first + i
    return a
