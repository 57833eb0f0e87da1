"""Loops as people write them, each in a function that is named for what it shows.

The loop is the function's first. Where a line says ``# no: NAME``, the loop must not be proven, and the reason has to
tell of that line and name; all others must be proven.
"""

import math
import random

import numpy as np


def square(x):
    return x * x


def appends_of_a_pure_call(xs):
    out = []
    for x in xs:
        out.append(square(x) + math.sqrt(x))
    return out


def every_kind_of_effect(n):
    out, total, best, where, by_key = [], 0, -1, None, {}
    for i in range(n):
        y = square(i)
        out.append(y)
        total += y
        by_key[i] = y
        if y > best:
            best = y
            where = i
    return out, total, best, where, by_key


def rows_of_files_in_groups(paths):
    groups = {}
    for path in paths:
        with open(path) as file:
            for line in file:
                key, value = line.split(",")
                groups.setdefault(key, []).append(float(value))
    return groups


def product_of_matrices(a, b):
    n, m = a.shape
    c = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            s = 0.0
            for k in range(m):
                s += a[i, k] * b[k, j]
            c[i, j] = s
    return c


def counted_words(words):
    counts = {}
    for word in words:
        word = word.strip().lower()
        if not word:
            continue
        counts[word] = counts.get(word, 0) + 1
    return counts


def the_item_before(xs):
    out, last = [], 0
    for x in xs:
        out.append(x + last)  # no: last
        last = x
    return out


def printing(xs):
    for x in xs:
        print(x)  # no: print


def a_distance_of_one(n):
    a = [0] * n
    for i in range(1, n):
        a[i] = a[i - 1] + 1  # no: a
    return a


def the_one_random_state(xs):
    out = []
    for x in xs:
        out.append(random.random() + x)  # no: random.random
    return out
